#include "worker/trainer/callbacks/throughput_monitor.h"

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/connectors/batch_size.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

constexpr std::array<std::string_view, 4> kStages = {"train", "validate", "test", "predict"};

std::size_t index_of(Stage stage) {
  switch (stage) {
    case Stage::kTest:
      return 2;
    case Stage::kPredict:
      return 3;
    case Stage::kValidate:
    case Stage::kSanityCheck:
      return 1;
    case Stage::kTrain:
    case Stage::kNone:
      break;
  }
  return 0;
}

double seconds_between(MonotonicTime from, MonotonicTime to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

ThroughputMonitor::ThroughputMonitor(ThroughputMonitorOptions options)
    : options_(std::move(options)) {
  ThroughputOptions checked;
  checked.window_size = options_.window_size;
  Throughput{checked};
}

bool ThroughputMonitor::measures(const Trainer& trainer) const {
  return trainer.is_global_zero() && !trainer.sanity_checking();
}

ThroughputMonitor::Measurement& ThroughputMonitor::current(const Trainer& trainer) {
  return measurements_[index_of(trainer.state().stage)];
}

void ThroughputMonitor::setup(Trainer& trainer, TrainableModule& /*module*/,
                              std::string_view /*stage*/) {
  const c10::Device device = trainer.strategy().root_device();
  ThroughputOptions options;
  options.window_size = options_.window_size;
  options.separator = options_.separator;
  options.world_size = trainer.world_size();
  if (!device.is_cpu()) {
    options.available_flops =
        peak_flops(trainer.accelerator().device_name(device), trainer.options().precision);
  }
  for (Measurement& measurement : measurements_) {
    measurement = Measurement();
    measurement.throughput.emplace(options);
  }
}

void ThroughputMonitor::start(Trainer& trainer) {
  if (!measures(trainer)) return;
  Measurement& measurement = current(trainer);
  if (trainer.state().fn == RunFn::kFit || !measurement.used) {
    measurement.throughput->reset();
    measurement.batches = measurement.samples = measurement.lengths = 0;
    measurement.used = true;
  }
  measurement.start = trainer.clock().monotonic_now();
}

void ThroughputMonitor::update(Trainer& trainer, TrainableModule& module, const Batch& batch) {
  Measurement& measurement = current(trainer);
  const c10::Device device = trainer.strategy().root_device();
  if (!device.is_cpu()) trainer.accelerator().synchronize(device);
  ThroughputTotals totals;
  totals.time = seconds_between(measurement.start, trainer.clock().monotonic_now());
  measurement.samples +=
      options_.batch_size_fn ? options_.batch_size_fn(batch) : extract_batch_size(batch);
  ++measurement.batches;
  totals.batches = measurement.batches;
  totals.samples = measurement.samples;
  if (options_.length_fn) totals.lengths = measurement.lengths += options_.length_fn(batch);
  totals.flops = module.flops_per_batch();
  if (!totals.flops && !std::exchange(warned_of_flops_, true)) {
    console::warn(
        "When using the `ThroughputMonitor`, you need to define a `flops_per_batch` attribute or "
        "property in " +
        module.type_name() + " to compute the FLOPs.");
  }
  measurement.throughput->update(totals);
}

void ThroughputMonitor::log(Trainer& trainer, std::optional<std::int64_t> step) {
  if (!trainer.logger_connector().should_update_logs()) return;
  const std::string prefix =
      std::string(kStages[index_of(trainer.state().stage)]) + options_.separator;
  ThroughputMetrics metrics = current(trainer).throughput->compute();
  std::vector<LoggedMetric> row;
  row.reserve(metrics.size() + 1);
  for (auto& [name, value] : metrics) {
    name.insert(0, prefix);
    row.push_back({name, value});
  }
  trainer.logger_connector().log_row(std::move(row), step);
}

void ThroughputMonitor::on_train_batch_end(Trainer& trainer, TrainableModule& module,
                                           const StepOutput& /*output*/, const Batch& batch,
                                           std::int64_t /*batch_idx*/) {
  if (!measures(trainer)) return;
  update(trainer, module, batch);
  // Only whole effective batches: the update's time belongs to them.
  if (!trainer.fit_loop().epoch_loop().should_accumulate()) log(trainer, std::nullopt);
}

void ThroughputMonitor::on_validation_batch_end(Trainer& trainer, TrainableModule& module,
                                                const StepOutput& /*output*/, const Batch& batch,
                                                std::int64_t /*batch_idx*/,
                                                std::int64_t /*dataloader_idx*/) {
  if (!measures(trainer)) return;
  update(trainer, module, batch);
  const TrainerProgress& progress = trainer.progress();
  const bool inside_fit = trainer.state().fn == RunFn::kFit;
  log(trainer, (inside_fit ? progress.fit.val_batch : progress.validate).total.ready);
}

void ThroughputMonitor::on_test_batch_end(Trainer& trainer, TrainableModule& module,
                                          const StepOutput& /*output*/, const Batch& batch,
                                          std::int64_t /*batch_idx*/,
                                          std::int64_t /*dataloader_idx*/) {
  if (!measures(trainer)) return;
  update(trainer, module, batch);
  log(trainer, trainer.progress().test.total.ready);
}

void ThroughputMonitor::on_predict_batch_end(Trainer& trainer, TrainableModule& module,
                                             const Batch& /*outputs*/, const Batch& batch,
                                             std::int64_t /*batch_idx*/,
                                             std::int64_t /*dataloader_idx*/) {
  if (!measures(trainer)) return;
  update(trainer, module, batch);
  log(trainer, trainer.progress().predict.total.ready);
}

// Validation must not count as training time.
void ThroughputMonitor::on_validation_end(Trainer& trainer, TrainableModule& /*module*/) {
  if (!measures(trainer) || trainer.state().fn != RunFn::kFit) return;
  Measurement& train = measurements_[index_of(Stage::kTrain)];
  const Measurement& validate = measurements_[index_of(Stage::kValidate)];
  const double before =
      seconds_between(train.start, validate.start) - train.throughput->latest_time();
  train.start += std::chrono::duration_cast<MonotonicTime::duration>(
      std::chrono::duration<double>(before + validate.throughput->latest_time()));
}

}  // namespace lctl
