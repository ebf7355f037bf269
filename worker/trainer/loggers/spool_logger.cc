#include "worker/trainer/loggers/spool_logger.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "base/check.h"
#include "base/version.h"
#include "worker/trainer/loggers/hparams_yaml.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

v1::DataLoading as_message(const LoadingStats& stats) {
  v1::DataLoading message;
  message.set_workers(stats.workers);
  message.set_tuned(stats.tuned);
  message.set_waited_seconds(stats.waited_seconds);
  message.set_total_seconds(stats.total_seconds);
  message.set_bytes_ahead(stats.bytes_ahead);
  message.set_skipped_samples(stats.skipped_samples);
  for (const TuningDecision& decision : stats.decisions) {
    v1::WorkerChange& change = *message.add_changes();
    change.set_time_us(unix_micros(decision.time));
    change.set_before(decision.before);
    change.set_after(decision.after);
    change.set_reason(decision.reason);
  }
  return message;
}

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBetweenReports{100};
constexpr std::chrono::seconds kRateWindow{5};
constexpr std::size_t kMaxKeyBytes = 512;
constexpr std::size_t kMaxMessageBytes = 4096;

// As the user sees it: relative to the working folder when it lies below.
std::string shown_path(const std::string& path) {
  std::error_code ignored;
  const fs::path here = fs::weakly_canonical(fs::current_path(ignored), ignored);
  const fs::path relative = fs::absolute(path, ignored).lexically_normal().lexically_relative(here);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return below ? relative.string() : path;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  if (text.size() > kMaxMessageBytes) text.resize(kMaxMessageBytes);
  return text;
}

}  // namespace

SpoolReporter::SpoolReporter(Options options) : options_(std::move(options)) {
  spool::SpoolWriter::Options writer_options;
  writer_options.file = options_.spool;
  auto writer = spool::SpoolWriter::open(writer_options);
  if (!writer.ok())
    throw std::runtime_error("spool " + options_.spool.string() + ": " +
                             std::string(writer.status().message()));
  writer_ = *std::move(writer);
  if (has_stage()) fs::create_directories(options_.stage);
}

SpoolReporter::~SpoolReporter() = default;

v1::Event SpoolReporter::event() const {
  v1::Event event;
  event.set_time_us(unix_micros(options_.clock->wall_now()));
  return event;
}

void SpoolReporter::append(v1::Event event) {
  const auto appended = writer_->append(event);
  if (!appended.ok()) {
    throw std::runtime_error("spool " + options_.spool.string() + ": " +
                             std::string(appended.status().message()));
  }
}

void SpoolReporter::ready(std::int64_t resumed_at_step) {
  if (std::exchange(ready_, true)) return;
  v1::Event message = event();
  v1::RankReady& ready = *message.mutable_ready();
  ready.set_rank(options_.rank);
  ready.set_world_size(options_.world_size);
  ready.set_pid(getpid());
  ready.set_trainer_version(kVersion);
  ready.set_device(options_.device);
  ready.set_resumed_at_step(resumed_at_step);
  *ready.mutable_environment() = environment_;
  append(std::move(message));
}

void SpoolReporter::metrics(std::span<const LoggedMetric> metrics, std::int64_t step,
                            std::int64_t epoch) {
  v1::Event message = event();
  v1::MetricPoints& points = *message.mutable_metrics();
  points.set_step(step);
  for (const LoggedMetric& metric : metrics) {
    if (const auto* whole = std::get_if<std::int64_t>(&metric.value)) {
      if (metric.name == "epoch") epoch = *whole;
      continue;
    }
    if (metric.name.empty() || metric.name.size() > kMaxKeyBytes) continue;
    points.add_keys(std::string(metric.name));
    points.add_values(std::get<double>(metric.value));
  }
  points.set_epoch(epoch);
  if (points.keys_size() > 0) append(std::move(message));
}

void SpoolReporter::progress(v1::Progress progress) {
  v1::Event message = event();
  progress.set_time_us(message.time_us());
  *message.mutable_progress() = std::move(progress);
  append(std::move(message));
}

void SpoolReporter::hyperparameters(const checkpoint::Dict& hparams) {
  v1::Event message = event();
  std::string yaml = hparams_yaml(hparams);
  if (yaml.size() > (1u << 20))
    return;  // beyond the contract's bound: they are in the checkpoint anyway
  message.mutable_hyperparameters()->set_yaml(std::move(yaml));
  append(std::move(message));
}

std::function<void()> SpoolReporter::stage_model_checkpoint(const SavedCheckpoint& saved) {
  if (!has_stage()) return nullptr;
  const auto staged = std::make_shared<Staged>();
  staged->file = fmt::format("model-{}-step={}.ckpt", linked_++, saved.global_step);
  staged->offset = offset();
  staged_.push_back(staged);
  return [from = saved.path, to = options_.stage / staged->file, staged] {
    std::error_code error;
    fs::create_hard_link(from, to, error);
    if (error) fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    staged->there = true;
  };
}

void SpoolReporter::model_checkpoint(const SavedCheckpoint& saved) {
  if (!has_stage()) return;
  while (!staged_.empty() && !staged_.front()->there) staged_.pop_front();
  LCTL_CHECK(!staged_.empty(), "a checkpoint was staged before it is reported");
  const Staged& staged = *staged_.front();
  v1::Event message = event();
  v1::CheckpointWritten& written = *message.mutable_checkpoint();
  written.set_file(staged.file);
  written.set_size(static_cast<std::int64_t>(fs::file_size(options_.stage / staged.file)));
  written.set_global_step(saved.global_step);
  written.set_epoch(saved.epoch);
  written.set_kind(v1::CHECKPOINT_KIND_MODEL);
  written.set_spool_offset(staged.offset);
  written.set_name(shown_path(saved.path));
  written.set_monitor(saved.monitor);
  written.set_score(saved.score);
  if (!saved.monitor.empty()) {
    written.set_mode(saved.higher_is_better ? v1::MONITOR_MODE_MAX : v1::MONITOR_MODE_MIN);
  }
  written.set_is_best(saved.is_best);
  written.set_is_last(saved.is_last);
  append(std::move(message));
  staged_.pop_front();
}

void SpoolReporter::model_checkpoint_removed(const std::string& path) {
  v1::Event message = event();
  message.mutable_checkpoint_removed()->set_name(shown_path(path));
  append(std::move(message));
}

std::string SpoolReporter::path_for(BoundaryAction action, std::int64_t global_step) const {
  const char* kind = action == BoundaryAction::kStop ? "stop" : "recovery";
  return (options_.stage / fmt::format("{}-step={}.ckpt", kind, global_step)).string();
}

void SpoolReporter::orchestrated_checkpoint(BoundaryAction action, const std::string& path,
                                            std::int64_t global_step, std::int64_t epoch,
                                            std::uint64_t captured_at) {
  v1::Event message = event();
  v1::CheckpointWritten& written = *message.mutable_checkpoint();
  const std::string file = fs::path(path).filename().string();
  written.set_file(file);
  written.set_size(static_cast<std::int64_t>(fs::file_size(path)));
  written.set_global_step(global_step);
  written.set_epoch(epoch);
  written.set_kind(action == BoundaryAction::kStop ? v1::CHECKPOINT_KIND_STOP
                                                   : v1::CHECKPOINT_KIND_RECOVERY);
  written.set_spool_offset(captured_at);
  written.set_name(file);
  append(std::move(message));
}

void SpoolReporter::finished(v1::Finished finished) {
  v1::Event message = event();
  finished.set_message(one_line(finished.message()));
  *message.mutable_finished() = std::move(finished);
  append(std::move(message));
  const absl::Status flushed = writer_->flush();
  if (!flushed.ok())
    throw std::runtime_error("spool " + options_.spool.string() + ": " +
                             std::string(flushed.message()));
}

void SpoolLogger::log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) {
  reporter_->metrics(metrics, step, epoch_);
}

void SpoolCallback::began(Trainer& trainer, const char* stage) {
  reporter_->ready(trainer.resumed_at_step());
  report(trainer, stage);
}

void SpoolCallback::on_train_epoch_start(Trainer& trainer, TrainableModule&) {
  if (logger_) logger_->set_epoch(trainer.current_epoch());
  // The counters are still those of the epoch before.
  report(trainer, "train", 0);
}

void SpoolCallback::on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&,
                                       const Batch&, std::int64_t) {
  if (!reporter_->rank_zero()) return;
  if (reporter_->has_stage()) trainer.expect_checkpoints();
  if (reporter_->clock().monotonic_now() - last_report_ >= kBetweenReports)
    report(trainer, "train");
}

double SpoolCallback::steps_per_second(MonotonicTime now, std::int64_t step) {
  while (!recent_.empty() && now - recent_.front().first > kRateWindow) recent_.pop_front();
  recent_.emplace_back(now, step);
  const double seconds = std::chrono::duration<double>(now - recent_.front().first).count();
  return seconds > 0 ? static_cast<double>(step - recent_.front().second) / seconds : 0.0;
}

void SpoolCallback::report(Trainer& trainer, const char* stage, std::optional<std::int64_t> batch) {
  if (!reporter_->rank_zero()) return;
  stage_ = stage;
  metrics_.clear();
  for (const auto& [name, value] : trainer.progress_bar_metrics().entries())
    metrics_[name] = value.number();
  send(trainer, batch.value_or(trainer.progress().fit.batch.current.ready));
}

void SpoolCallback::ended(Trainer& trainer) {
  global_step_ = trainer.global_step();
  epoch_ = trainer.current_epoch();
  resumed_at_step_ = trainer.resumed_at_step();
  if (reporter_->rank_zero() && stage_ != nullptr)
    send(trainer, trainer.progress().fit.batch.current.ready);
}

void SpoolCallback::send(Trainer& trainer, std::int64_t batch) {
  const MonotonicTime now = reporter_->clock().monotonic_now();
  last_report_ = now;
  v1::Progress progress;
  progress.set_global_step(trainer.global_step());
  progress.set_epoch(trainer.current_epoch());
  progress.set_batch(std::max<std::int64_t>(batch, 0));
  const std::int64_t batches = trainer.num_training_batches();
  progress.set_batches_per_epoch(batches == kInfiniteBatches ? 0 : batches);
  progress.set_max_epochs(trainer.max_epochs());
  progress.set_max_steps(trainer.options().max_steps);
  progress.set_stage(stage_);
  progress.set_steps_per_second(steps_per_second(now, trainer.global_step()));
  progress.mutable_metrics()->insert(metrics_.begin(), metrics_.end());
  if (const auto stats = trainer.training_loader_stats())
    *progress.mutable_data_loading() = as_message(*stats);
  reporter_->progress(std::move(progress));
}

}  // namespace lctl
