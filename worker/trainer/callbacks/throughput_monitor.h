// ThroughputMonitor.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/callbacks/throughput.h"

namespace lctl {

struct ThroughputMonitorOptions {
  // Samples of a batch; empty: its rows, by the rule for weighted means.
  std::function<std::int64_t(const Batch&)> batch_size_fn;
  // Items (tokens) of a batch; empty: not counted.
  std::function<std::int64_t(const Batch&)> length_fn;
  std::int64_t window_size = 100;
  std::string separator = "/";
};

// Logs `train/device/samples_per_sec` and its like, when step metrics are written. Needs no logger.
// With a CUDA device it waits for the device after each batch, as Lightning's does: do not leave it
// on where speed counts. FLOP rates need the module's flops_per_batch(). Rank 0 measures.
// Source: Lightning, callbacks/throughput_monitor.py. Thread rule: one strand only (the training
// thread).
class ThroughputMonitor final : public Callback {
 public:
  using Options = ThroughputMonitorOptions;

  // Throws std::invalid_argument for a window below 2.
  explicit ThroughputMonitor(ThroughputMonitorOptions options);

  std::string type_name() const override { return "ThroughputMonitor"; }

  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_train_start(Trainer& trainer, TrainableModule&) override { start(trainer); }
  void on_validation_start(Trainer& trainer, TrainableModule&) override { start(trainer); }
  void on_test_start(Trainer& trainer, TrainableModule&) override { start(trainer); }
  void on_predict_start(Trainer& trainer, TrainableModule&) override { start(trainer); }
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                          const Batch& batch, std::int64_t batch_idx) override;
  void on_validation_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                               const Batch& batch, std::int64_t batch_idx,
                               std::int64_t dataloader_idx) override;
  void on_test_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                         const Batch& batch, std::int64_t batch_idx,
                         std::int64_t dataloader_idx) override;
  void on_predict_batch_end(Trainer& trainer, TrainableModule& module, const Batch& outputs,
                            const Batch& batch, std::int64_t batch_idx,
                            std::int64_t dataloader_idx) override;
  void on_validation_end(Trainer& trainer, TrainableModule& module) override;

 private:
  // One stage's measurement; validation inside fit has its own.
  struct Measurement {
    std::optional<Throughput> throughput;
    bool used = false;
    MonotonicTime start;
    std::int64_t batches = 0;
    std::int64_t samples = 0;
    std::int64_t lengths = 0;
  };

  bool measures(const Trainer& trainer) const;
  Measurement& current(const Trainer& trainer);
  void start(Trainer& trainer);
  void update(Trainer& trainer, TrainableModule& module, const Batch& batch);
  // `step` unset: the loggers' step, with `epoch` added.
  void log(Trainer& trainer, std::optional<std::int64_t> step);

  const ThroughputMonitorOptions options_;
  std::array<Measurement, 4> measurements_;  // train, validate, test, predict
  bool warned_of_flops_ = false;
};

}  // namespace lctl
