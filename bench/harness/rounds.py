"""Rounds: every variant once a round, the order turned about, so that what else the machine does hits all alike."""


def order_of(round_number, count):
    """Indices of the variants in the order of that round: forwards in even rounds, backwards in odd ones."""
    indices = list(range(count))
    return indices if round_number % 2 == 0 else indices[::-1]


def run_rounds(variants, rounds, warm_up=1, report=lambda done, total: None):
    """{variant name: [figure of each round]}. The `warm_up` rounds before the counted ones fill caches."""
    figures = {variant.name: [] for variant in variants}
    for number in range(-warm_up, rounds):
        for index in order_of(number, len(variants)):
            figure = variants[index].measure()
            if number >= 0:
                figures[variants[index].name].append(figure)
        report(number + 1, rounds)
    return figures
