#include "worker/trainer/profilers/simple_profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

constexpr std::size_t kNumberWidth = 15;

double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

std::string five_digits(double value) { return python_format(value, ".5"); }

// Code points of UTF-8 text: what Python calls its length.
std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string padded(std::string_view text, std::size_t width) {
  std::string result(text);
  result.append(width - std::min(width, length(text)), ' ');
  return result;
}

// len(text.expandtabs())
std::size_t expanded_length(std::string_view text) {
  std::size_t total = 0;
  std::size_t column = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    const std::size_t step = c == '\t' ? 8 - column % 8 : 1;
    total += step;
    column = c == '\n' ? 0 : column + step;
  }
  return total;
}

// One line, which begins with its end of line, as Lightning has it.
std::string row(std::string_view action, std::size_t action_width,
                std::initializer_list<std::string_view> numbers) {
  std::string line = "\n|  " + padded(action, action_width) + "\t|";
  for (const std::string_view number : numbers) line += "  " + padded(number, kNumberWidth) + "\t|";
  return line;
}

}  // namespace

SimpleProfiler::SimpleProfiler(Options options)
    : Profiler({options.dirpath, options.filename}),
      options_(std::move(options)),
      born_(options_.now()) {}

void SimpleProfiler::start(const Action& action) {
  if (action.index >= records_.size()) records_.resize(action.index + 1);
  Record& record = records_[action.index];
  if (record.started >= 0) {
    throw std::invalid_argument(
        fmt::format("Attempted to start {} which has already started.", action.name));
  }
  record.started = options_.now();
}

void SimpleProfiler::stop(const Action& action) {
  const std::int64_t now = options_.now();
  if (action.index >= records_.size() || records_[action.index].started < 0) {
    throw std::invalid_argument(fmt::format(
        "Attempting to stop recording an action ({}) which was never started.", action.name));
  }
  Record& record = records_[action.index];
  if (record.action == nullptr) {
    record.action = &action;
    order_.push_back(action.index);
  }
  record.total += now - record.started;
  record.started = -1;
  ++record.calls;
}

std::vector<SimpleProfiler::Record> SimpleProfiler::measured() const {
  std::vector<Record> rows;
  for (const std::size_t index : order_) rows.push_back(records_[index]);
  return rows;
}

std::string SimpleProfiler::extended_table(std::vector<Record> rows) const {
  std::size_t width = 0;
  std::int64_t calls = 0;
  for (const Record& record : rows) {
    width = std::max(width, length(record.action->name));
    calls += record.calls;
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Record& a, const Record& b) { return a.total > b.total; });
  const double life = seconds(options_.now() - born_);
  const std::string header =
      row("Action", width, {"Mean duration (s)", "Num calls", "Total time (s)", "Percentage %"});
  const std::string rule = "\n" + std::string(expanded_length(header), '-');
  std::string text = rule + header + rule;
  text += row("Total", width, {"-", std::to_string(calls), five_digits(life), "100 %"}) + rule;
  for (const Record& record : rows) {
    const double total = seconds(record.total);
    text +=
        row(record.action->name, width,
            {five_digits(total / static_cast<double>(record.calls)), std::to_string(record.calls),
             five_digits(total), five_digits(100.0 * total / life)});
  }
  return text + rule;
}

std::string SimpleProfiler::short_table(std::vector<Record> rows) const {
  const auto mean = [](const Record& record) {
    return seconds(record.total) / static_cast<double>(record.calls);
  };
  std::size_t width = 0;
  for (const Record& record : rows) width = std::max(width, length(record.action->name));
  std::stable_sort(rows.begin(), rows.end(),
                   [&mean](const Record& a, const Record& b) { return mean(a) > mean(b); });
  const std::string header = row("Action", width, {"Mean duration (s)", "Total time (s)"});
  const std::string rule = "\n" + std::string(expanded_length(header), '-');
  std::string text = rule + header + rule;
  for (const Record& record : rows) {
    text += row(record.action->name, width,
                {five_digits(mean(record)), five_digits(seconds(record.total))});
  }
  return text + rule;
}

std::string SimpleProfiler::summary() {
  std::vector<Record> rows = measured();
  std::string text = title() + "\n";
  if (!rows.empty())
    text += options_.extended ? extended_table(std::move(rows)) : short_table(std::move(rows));
  return text + "\n";
}

}  // namespace lctl
