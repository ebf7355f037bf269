"""All benchmarks, in the order in which they run."""

from bench.submit_latency import SubmitLatency

BENCHMARKS = [SubmitLatency]
