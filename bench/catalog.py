"""All benchmarks, in the order in which they run."""

from bench.checkpoint import Checkpoint
from bench.dataloader import DataLoader
from bench.ingest import Ingest, MetricReads
from bench.loader_tuning import LoaderTuning
from bench.log_calls import LogCalls
from bench.recovery import Recovery
from bench.step_overhead import StepOverhead, StepParts
from bench.submit_latency import SubmitLatency

BENCHMARKS = [SubmitLatency, StepOverhead, StepParts, LogCalls, DataLoader, LoaderTuning, Ingest,
              MetricReads, Checkpoint, Recovery]
