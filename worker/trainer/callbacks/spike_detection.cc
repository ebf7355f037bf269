#include "worker/trainer/callbacks/spike_detection.h"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr char kFileName[] = "skip_batches.json";

}  // namespace

bool SpikeJudge::is_spike(double loss) const {
  if (options_.finite_only && !std::isfinite(loss)) return true;
  const double change = loss - last_;
  if (options_.mode == "max" ? change >= 0 : change <= 0) return false;
  const double mean = this->mean();
  const double away = std::abs(loss - mean);
  return (!options_.atol || away >= std::abs(*options_.atol)) &&
         (!options_.rtol || away >= std::abs(*options_.rtol * mean));
}

void SpikeJudge::update(double loss) {
  last_ = loss;
  window_.push_back(loss);
  if (static_cast<std::int64_t>(window_.size()) > options_.window) window_.pop_front();
}

double SpikeJudge::mean() const {
  double sum = 0;
  int count = 0;
  for (const double loss : window_) {
    if (std::isnan(loss)) continue;
    sum += loss;
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / count;
}

void SpikeJudge::restore(double last, std::deque<double> window) {
  last_ = last;
  window_ = std::move(window);
}

SpikeDetection::SpikeDetection(SpikeDetectionOptions options)
    : options_(std::move(options)), judge_(options_) {
  if (options_.mode != "min" && options_.mode != "max") {
    throw MisconfigurationException(
        fmt::format("Invalid mode. Has to be min or max, found {}", options_.mode));
  }
  if (options_.window < 1 || options_.max_roll_backs < 0) {
    throw MisconfigurationException(fmt::format(
        "SpikeDetection: window={}, max_roll_backs={}: expected at least 1 batch, and 0 roll-backs "
        "or more",
        options_.window, options_.max_roll_backs));
  }
}

checkpoint::Dict SpikeDetection::state_dict() {
  checkpoint::List bad(bad_batches_.begin(), bad_batches_.end());
  checkpoint::List window(judge_.window().begin(), judge_.window().end());
  checkpoint::Dict state;
  state.set("last_val", judge_.last());
  state.set("bad_batches", std::move(bad));
  state.set("window", std::move(window));
  return state;
}

void SpikeDetection::load_state_dict(const checkpoint::Dict& state) {
  bad_batches_.clear();
  for (const checkpoint::Value& value : state.at("bad_batches").as_list()) {
    bad_batches_.push_back(value.as_int());
  }
  std::deque<double> window;
  // Lightning's own files do not have it.
  if (const checkpoint::Value* saved = state.find("window")) {
    for (const checkpoint::Value& value : saved->as_list()) window.push_back(value.as_double());
  }
  judge_.restore(state.at("last_val").as_double(), std::move(window));
}

void SpikeDetection::on_train_batch_start(Trainer& trainer, TrainableModule& /*module*/,
                                          const Batch& /*batch*/, std::int64_t batch_idx) {
  point_.begin_batch(trainer.current_epoch(), batch_idx, trainer.global_step());
}

void SpikeDetection::on_train_batch_end(Trainer& trainer, TrainableModule& /*module*/,
                                        const StepOutput& output, const Batch& /*batch*/,
                                        std::int64_t batch_idx) {
  if (!output.loss.defined()) {
    throw std::runtime_error(
        "SpikeDetection: the training step returned no loss: it must return a tensor, or a dict "
        "with \"loss\"");
  }
  const double loss = output.loss.item<double>();
  Strategy& strategy = trainer.strategy();
  // Before the warm-up is over no rank can have one.
  if (batch_idx >= options_.warmup) {
    const bool own = judge_.is_spike(loss);
    if (strategy.reduce_boolean_decision(own, /*all=*/false)) spiked(trainer, loss, own, batch_idx);
  }
  if (options_.finite_only || strategy.reduce_boolean_decision(std::isfinite(loss), /*all=*/true)) {
    judge_.update(loss);
  }
}

void SpikeDetection::spiked(Trainer& trainer, double loss, bool own, std::int64_t batch_idx) {
  bad_batches_.push_back(batch_idx - 1);
  bad_batches_.push_back(batch_idx);
  if (trainer.is_global_zero()) write_bad_batches(trainer);
  if (options_.action == SpikeAction::kRaise) throw TrainingSpikeException(batch_idx);
  point_.request(
      fmt::format("SpikeDetection: {} batch {} of epoch {} is {:.6g}, the mean of the "
                  "last {} was {:.6g}; this batch and the one before it are left out",
                  own ? "the loss of" : "the loss of another rank spikes; here that of", batch_idx,
                  trainer.current_epoch(), loss, judge_.window().size(), judge_.mean()),
      options_.max_roll_backs);
}

// As Python's json.dump(…, indent=4) does it.
void SpikeDetection::write_bad_batches(const Trainer& trainer) const {
  fs::path file = options_.exclude_batches_path.value_or(
      (fs::path(trainer.default_root_dir()) / kFileName).string());
  if (!file.string().ends_with(".json")) file /= kFileName;
  std::error_code ignored;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), ignored);
  std::ofstream out(file);
  out << "[";
  for (std::size_t i = 0; i < bad_batches_.size(); ++i) {
    out << (i == 0 ? "\n    " : ",\n    ") << bad_batches_[i];
  }
  out << "\n]";
  out.close();
  if (!out) {
    throw std::system_error(errno, std::generic_category(),
                            "SpikeDetection: writing " + file.string());
  }
}

}  // namespace lctl
