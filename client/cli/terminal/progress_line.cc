#include "client/cli/terminal/progress_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

constexpr int kShortestBar = 8;
constexpr int kLongestBar = 30;

// Batches since the beginning, and in all; 0 in all = unknown.
struct Batches {
  double done = 0;
  double all = 0;
};

Batches batches_of(const v1::Progress& progress) {
  const auto each = static_cast<double>(progress.batches_per_epoch());
  const double done =
      static_cast<double>(progress.epoch()) * each + static_cast<double>(progress.batch());
  const bool bounded = progress.max_epochs() > 0 && each > 0;
  return {done, bounded ? static_cast<double>(progress.max_epochs()) * each : 0};
}

std::string bar(double fraction, int width, const Look& look) {
  const std::string_view full = look.unicode ? "━" : "#";
  const std::string_view half = look.unicode ? "╸" : "#";
  const std::string_view rest = look.unicode ? "─" : "-";
  const int halves = static_cast<int>(std::floor(std::clamp(fraction, 0.0, 1.0) * width * 2));
  std::string done;
  std::string open;
  for (int i = 0; i < halves / 2; ++i) done += full;
  int used = halves / 2;
  if (halves % 2 == 1 && used < width) {
    done += half;
    ++used;
  }
  for (; used < width; ++used) open += rest;
  return look.paint(Tone::kGood, done) + look.paint(Tone::kDim, open);
}

std::string epoch_text(const v1::Progress& progress) {
  const auto now = progress.epoch() + 1;
  if (progress.max_epochs() > 0) {
    return fmt::format("epoch {}/{}", std::min(now, progress.max_epochs()), progress.max_epochs());
  }
  return fmt::format("epoch {}", now);
}

std::string step_text(const v1::Progress& progress) {
  if (progress.max_steps() > 0) {
    return fmt::format("step {}/{}", progress.global_step(), progress.max_steps());
  }
  return fmt::format("step {}", progress.global_step());
}

// What follows the bar, most important first.
std::vector<std::string> parts_of(const v1::Progress& progress, const Look& look) {
  std::vector<std::string> parts;
  if (const auto fraction = fraction_done(progress)) {
    parts.push_back(fmt::format("{:3.0f}%", std::floor(*fraction * 100)));
  }
  parts.push_back(step_text(progress));
  if (progress.steps_per_second() > 0) {
    parts.push_back(human_number(progress.steps_per_second()) + "/s");
  }
  if (const auto left = time_left(progress)) parts.push_back(clock_duration(*left) + " left");
  if (!progress.stage().empty() && progress.stage() != "train") {
    parts.push_back(look.paint(Tone::kBusy, printable(progress.stage())));
  }
  std::vector<std::pair<std::string, double>> metrics(progress.metrics().begin(),
                                                      progress.metrics().end());
  std::sort(metrics.begin(), metrics.end());
  for (const auto& [key, value] : metrics) {
    parts.push_back(look.paint(Tone::kDim, printable(key)) + " " + human_number(value));
  }
  return parts;
}

}  // namespace

std::optional<double> fraction_done(const v1::Progress& progress) {
  std::optional<double> fraction;
  const Batches batches = batches_of(progress);
  if (batches.all > 0) fraction = batches.done / batches.all;
  if (progress.max_steps() > 0) {
    const double steps =
        static_cast<double>(progress.global_step()) / static_cast<double>(progress.max_steps());
    fraction = std::max(fraction.value_or(0), steps);
  }
  if (fraction) fraction = std::clamp(*fraction, 0.0, 1.0);
  return fraction;
}

std::optional<Duration> time_left(const v1::Progress& progress) {
  const double rate = progress.steps_per_second();
  const auto step = static_cast<double>(progress.global_step());
  if (!(rate > 0)) return std::nullopt;
  std::optional<double> steps;
  const Batches batches = batches_of(progress);
  if (batches.all > 0) {
    // With accumulated gradients a step takes several batches.
    const double per_step = step > 0 && batches.done > 0 ? std::max(batches.done / step, 1.0) : 1.0;
    steps = (batches.all - batches.done) / per_step;
  }
  if (progress.max_steps() > 0) {
    const double left = static_cast<double>(progress.max_steps()) - step;
    steps = steps ? std::min(*steps, left) : left;
  }
  if (!steps) return std::nullopt;
  const double seconds = std::max(*steps, 0.0) / rate;
  if (seconds > 1e9) return std::nullopt;
  return Duration(static_cast<std::int64_t>(seconds * 1e6));
}

std::string progress_line(const v1::Progress& progress, const Look& look) {
  const std::string head = epoch_text(progress);
  const auto fraction = fraction_done(progress);
  const int bar_space = fraction ? kShortestBar + 2 : 0;
  std::string tail;
  // One column stays free: a full line would wrap on some terminals.
  const int room = look.width - 1 - display_width(head) - bar_space;
  for (const std::string& part : parts_of(progress, look)) {
    if (display_width(tail) + 2 + display_width(part) > room) break;
    tail += "  " + part;
  }
  if (!fraction) return head + tail;
  const int spare = room - display_width(tail);
  const int length = std::clamp(kShortestBar + spare, kShortestBar, kLongestBar);
  return head + "  " + bar(*fraction, length, look) + tail;
}

std::string plain_progress(const v1::Progress& progress) {
  std::string line = epoch_text(progress);
  for (const std::string& part : parts_of(progress, Look())) line += "  " + part;
  return line;
}

void LiveLine::draw() {
  out_ << "\r\x1b[2K" << text_ << std::flush;
  shown_ = true;
  drawn_text_ = text_;
  drawn_ = clock_.monotonic_now();
}

void LiveLine::update(std::string text) {
  text_ = std::move(text);
  if (shown_ && text_ == drawn_text_) return;
  if (drawn_ && shown_ && clock_.monotonic_now() - *drawn_ < kInterval) return;
  draw();
}

void LiveLine::print(const std::string& line) {
  const bool again = shown_;
  clear();
  out_ << line << '\n' << std::flush;
  if (again) draw();
}

void LiveLine::clear() {
  if (shown_) out_ << "\r\x1b[2K" << std::flush;
  shown_ = false;
}

}  // namespace lctl::cli
