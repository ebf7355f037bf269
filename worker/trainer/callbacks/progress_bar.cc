#include "worker/trainer/callbacks/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

constexpr std::chrono::milliseconds kBetweenDraws{100};
constexpr std::size_t kBarWidth = 20;

std::string clock_text(double seconds) {
  const auto total = static_cast<std::int64_t>(seconds);
  if (total >= 3600)
    return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  return fmt::format("{:02}:{:02}", total / 60, total % 60);
}

// The shorter of %.3g and the plain number, padded to five characters, as tqdm shows metrics.
std::string metric_text(double value) {
  std::string text = fmt::format("{:.3g}", value);
  const std::string plain = python_repr(value);
  if (plain.size() < text.size()) text = plain;
  if (text.find_first_not_of("0123456789.-") == std::string::npos) {
    if (text.find('.') == std::string::npos) text += ".";
    while (text.size() < 5) text += "0";
  }
  return text;
}

}  // namespace

ProgressBar::ProgressBar(std::string type_name, std::int64_t refresh_rate)
    : type_name_(std::move(type_name)),
      refresh_rate_(refresh_rate),
      terminal_(isatty(STDOUT_FILENO) == 1) {}

bool ProgressBar::silent(const Trainer& trainer) const {
  return refresh_rate_ <= 0 || !trainer.is_global_zero();
}

void ProgressBar::begin(Trainer& trainer, Bar& bar, std::string description, std::int64_t total) {
  bar.description = std::move(description);
  bar.total = total;
  bar.done = 0;
  bar.started = trainer.clock().monotonic_now();
}

void ProgressBar::advance(Trainer& trainer, Bar& bar, std::int64_t done) {
  bar.done = done;
  if (!terminal_ || silent(trainer) || done % refresh_rate_ != 0) return;
  const MonotonicTime now = trainer.clock().monotonic_now();
  if (now - last_draw_ < kBetweenDraws) return;
  last_draw_ = now;
  draw(trainer, bar, false);
}

void ProgressBar::draw(Trainer& trainer, const Bar& bar, bool last) {
  const double elapsed =
      std::chrono::duration<double>(trainer.clock().monotonic_now() - bar.started).count();
  const double rate = elapsed > 0 ? static_cast<double>(bar.done) / elapsed : 0;
  std::string text = bar.description + ": ";
  if (bar.total == kInfiniteBatches || bar.total <= 0) {
    text += fmt::format("{}it [{}, {:.2f}it/s", bar.done, clock_text(elapsed), rate);
  } else {
    const double share =
        std::min(1.0, static_cast<double>(bar.done) / static_cast<double>(bar.total));
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    std::string blocks;
    for (std::size_t i = 0; i < kBarWidth; ++i) blocks += i < filled ? "█" : " ";
    const double remaining = rate > 0 ? static_cast<double>(bar.total - bar.done) / rate : 0;
    text += fmt::format("{:3.0f}%|{}| {}/{} [{}<{}, {:.2f}it/s", share * 100, blocks, bar.done,
                        bar.total, clock_text(elapsed), clock_text(remaining), rate);
  }
  for (const auto& logger : trainer.loggers()) {
    if (!logger->is_user_logger()) continue;
    const auto version = logger->version();
    const auto* number = std::get_if<std::int64_t>(&version);
    std::string shown =
        number != nullptr ? std::to_string(*number) : std::get<std::string>(version);
    if (number == nullptr && shown.size() > 4) shown.erase(0, shown.size() - 4);
    if (shown.empty()) break;
    text += ", v_num=" + shown;
    if (trainer.progress_bar_metrics().find("v_num") != nullptr) {
      console::warn(
          "The progress bar already tracks a metric with the name(s) 'v_num' and "
          "`self.log('v_num', ..., prog_bar=True)` will overwrite this value.  If this is "
          "undesired, change the name or override `get_metrics()` in the progress bar callback.");
    }
    break;
  }
  for (const auto& [name, value] : trainer.progress_bar_metrics().entries())
    text += ", " + name + "=" + metric_text(value.number());
  text += "]";
  const std::size_t width = text.size();
  if (terminal_) {
    text.insert(0, "\r");
    if (width < drawn_width_) text.append(drawn_width_ - width, ' ');
    drawn_width_ = last ? 0 : width;
  }
  if (last || !terminal_) text += "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void ProgressBar::end(Trainer& trainer, const Bar& bar) {
  if (!silent(trainer)) draw(trainer, bar, true);
}

void ProgressBar::on_train_epoch_start(Trainer& trainer, TrainableModule&) {
  begin(trainer, train_, fmt::format("Epoch {}", trainer.current_epoch()),
        trainer.num_training_batches());
}

void ProgressBar::on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&,
                                     const Batch&, std::int64_t batch_idx) {
  advance(trainer, train_, batch_idx + 1);
}

void ProgressBar::on_train_epoch_end(Trainer& trainer, TrainableModule&) { end(trainer, train_); }

void ProgressBar::on_validation_start(Trainer& trainer, TrainableModule&) {
  const bool sanity = trainer.sanity_checking();
  std::int64_t total =
      trainer.state().fn == RunFn::kFit ? trainer.num_val_batches() : kInfiniteBatches;
  if (sanity && trainer.options().num_sanity_val_steps >= 0)
    total = std::min(total, trainer.options().num_sanity_val_steps.value());
  begin(trainer, evaluation_, sanity ? "Sanity Checking DataLoader 0" : "Validation DataLoader 0",
        total);
}

void ProgressBar::on_validation_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&,
                                          const Batch&, std::int64_t, std::int64_t) {
  advance(trainer, evaluation_, evaluation_.done + 1);
}

void ProgressBar::on_validation_end(Trainer& trainer, TrainableModule&) {
  if (trainer.state().fn == RunFn::kValidate) return end(trainer, evaluation_);
  if (terminal_ && !silent(trainer)) draw(trainer, train_, false);
}

void ProgressBar::on_test_start(Trainer& trainer, TrainableModule&) {
  begin(trainer, evaluation_, "Testing DataLoader 0", kInfiniteBatches);
}

void ProgressBar::on_test_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&,
                                    const Batch&, std::int64_t, std::int64_t) {
  advance(trainer, evaluation_, evaluation_.done + 1);
}

void ProgressBar::on_test_end(Trainer& trainer, TrainableModule&) { end(trainer, evaluation_); }

void ProgressBar::on_predict_start(Trainer& trainer, TrainableModule&) {
  begin(trainer, evaluation_, "Predicting DataLoader 0", kInfiniteBatches);
}

void ProgressBar::on_predict_batch_end(Trainer& trainer, TrainableModule&, const Batch&,
                                       const Batch&, std::int64_t, std::int64_t) {
  advance(trainer, evaluation_, evaluation_.done + 1);
}

void ProgressBar::on_predict_end(Trainer& trainer, TrainableModule&) { end(trainer, evaluation_); }

}  // namespace lctl
