"""What a benchmark is: a question, and some ways to do the same thing, measured side by side."""


class Measured(float):
    """A figure and the phases that it consists of, in order of time: {name: part of the figure}."""

    def __new__(cls, figure, phases):
        self = super().__new__(cls, figure)
        self.phases = phases
        return self


class Variant:
    """One way to do it.

    name      as in the table
    measure   () -> figure, may be a Measured; called once a round
    at_most   the project's target for the median, None = no target
    versus    name of the variant that this one is compared with, None = it is compared with nothing
    ratio_at_most, ratio_at_least   the project's targets for the ratio of that pair
    """

    def __init__(self, name, measure, at_most=None, versus=None, ratio_at_most=None, ratio_at_least=None):
        self.name, self.measure, self.at_most, self.versus = name, measure, at_most, versus
        self.ratio_at_most, self.ratio_at_least = ratio_at_most, ratio_at_least


class Benchmark:
    """Base of all benchmarks. A subclass sets `name`, `question`, `unit` and fills `variants` in open()."""

    name = ""
    question = ""
    unit = "s"

    def __init__(self):
        self.variants = []
        self.left_out = []  # a sentence for each variant that could not be measured here
        self.notes = []  # lines below the table; set at close() at the latest

    def open(self):
        """Prepares what all rounds share (a cluster, data), and fills self.variants."""

    def close(self):
        """Ends it all; also called when a round failed."""
