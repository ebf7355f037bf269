"""One short round: the bare loop and the trainer do the same work, to the bit, and both give a figure."""

import os
import struct
import tempfile
import unittest

from bench import step_overhead
from bench.harness import main


def shortened(model):
    data = {key: value for key, value in model.data.items() if key not in ("kind", "num_train", "num_val")}
    if model.data.get("kind") == "tokens":
        data["kind"] = "tokens"
    return step_overhead.Model(model.name, model.layers, data, model.optimizer, 50, 2, model.overhead, model.ahead)


class StepOverheadTest(unittest.TestCase):
    def test_every_model_trains_to_the_bits_of_the_bare_loop(self):
        benchmark = step_overhead.StepOverhead()
        benchmark.models = [shortened(model) for model in step_overhead.MODELS]
        rows = {row["variant"]: row for row in main.run(benchmark, 1, show_progress=False)}
        for model in step_overhead.MODELS:
            self.assertGreater(rows[model.name + ", bare loop"]["median"], 1)
            ours = rows[model.name + ", lctl-trainer"]
            self.assertGreater(ours["median"], 1)
            self.assertEqual((ours["versus"], ours["ratio_at_most"]), (model.name + ", bare loop", model.overhead))
        self.assertTrue(any("MiB" in note for note in benchmark.notes), benchmark.notes)

    def test_other_bits_are_refused(self):
        benchmark = step_overhead.StepOverhead()
        benchmark.models = [shortened(step_overhead.MODELS[0])]
        benchmark.bare = lambda name, model: benchmark.loss.update({model.name: 0.5}) or 1.0
        with self.assertRaisesRegex(RuntimeError, "they did not do the same"):
            main.run(benchmark, 1, show_progress=False)

    def test_parts_are_told_apart(self):
        benchmark = step_overhead.StepParts()
        benchmark.model = shortened(step_overhead.MODELS[0])
        benchmark.model.epochs = 12
        rows = main.run(benchmark, 1, show_progress=False)
        self.assertEqual(rows[0]["variant"], "bare loop")
        self.assertEqual(list(rows[0]["phases"]), ["batch", "forward", "backward", "optimizer"])
        self.assertEqual(len(rows), 7)


class SpoolTest(unittest.TestCase):
    def test_steps_are_read_with_their_times_and_a_torn_record_is_left(self):
        metrics = bytes([0x08, 49])                            # step: 49
        event = bytes([0x08, 0xC0, 0x84, 0x3D, 0x1A, len(metrics)]) + metrics  # time_us: 1,000,000
        record = struct.pack("<II", len(event), 0) + event
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "events.log")
            with open(path, "wb") as stream:
                stream.write(b"LCTLSPL1" + record + record[:7])
            self.assertEqual(step_overhead.logged_steps(path), {49: 1.0})


if __name__ == "__main__":
    unittest.main()
