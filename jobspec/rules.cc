#include "jobspec/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "jobspec/quantity.h"

namespace lctl::jobspec {
namespace {

constexpr std::string_view kBatches = "an int >= 0 (batches) or a float in [0.0, 1.0] (a share)";
constexpr std::string_view kWorkers = "an int in [0, 1024] (threads) or `auto`";
constexpr std::string_view kHangAfter =
    "`auto`, `off`, or a duration of at least 1s such as 90s or 5m";
constexpr std::string_view kDevices =
    "a number of devices > 0, `auto`, or a list of different device ids as [0, 2] or \"0,2\"";

double number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  LCTL_CHECK(error == std::errc() && end == text.data() + text.size(),
             "bounds of the key table are numbers");
  return value;
}

// ">= 1", "<= 0", "> 0", "in [0, 1)", "not 0"
bool keeps_bound(std::string_view rule, double value) {
  if (rule.starts_with(">= ")) return value >= number_of(rule.substr(3));
  if (rule.starts_with("<= ")) return value <= number_of(rule.substr(3));
  if (rule.starts_with("> ")) return value > number_of(rule.substr(2));
  if (rule == "not 0") return value != 0 && !std::isnan(value);
  LCTL_CHECK(rule.starts_with("in ") && rule.size() > 6,
             "rules of the key table are in its language");
  const std::string_view range = rule.substr(3);
  const std::size_t comma = range.find(", ");
  const double low = number_of(range.substr(1, comma - 1));
  const double high = number_of(range.substr(comma + 2, range.size() - comma - 3));
  return (range.front() == '[' ? value >= low : value > low) &&
         (range.back() == ']' ? value <= high : value < high);
}

bool is_batches(const Value& value) {
  if (value.is_int()) return value.as_int() >= 0;
  if (!value.is_float()) return true;  // a time, which has its own check
  const double share = value.as_double();
  // As Lightning does, 2.0 counts as 2 batches.
  return (share >= 0 && share <= 1) || (share > 1 && share <= 9e15 && share == std::floor(share));
}

bool is_workers(const Value& value) {
  return value.is_int() ? value.as_int() >= 0 && value.as_int() <= 1024
                        : value.as_string() == "auto";
}

// YAML reads a plain `off` as false.
bool is_hang_after(const Value& value) {
  if (value.is_bool()) return !value.as_bool();
  if (value.as_string() == "auto" || value.as_string() == "off") return true;
  return parse_duration_ms(value).value.value_or(0) >= 1000;
}

bool is_devices(const Value& value) {
  if (value.is_int()) return value.as_int() > 0;
  std::vector<std::int64_t> ids;
  if (value.is_list()) {
    for (const Value& item : value.list()) ids.push_back(item.as_int());
  } else {
    const std::string& text = value.as_string();
    if (text == "auto") return true;
    std::string_view rest = text;
    while (!rest.empty()) {
      std::int64_t id = 0;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), id);
      if (error != std::errc()) return false;
      rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
      ids.push_back(id);
      if (rest.empty()) break;
      if (rest[0] != ',') return false;
      rest.remove_prefix(1);
      while (rest.starts_with(' ')) rest.remove_prefix(1);
    }
    if (text.find(',') == std::string::npos) return ids.size() == 1 && ids[0] > 0;
  }
  std::sort(ids.begin(), ids.end());
  return !ids.empty() && ids[0] >= 0 && std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// How long a list may be. A single number passes, where the type allows one.
struct Length {
  std::string_view words;
  unsigned allowed;  // bit n: n elements
  bool allows(std::size_t size) const { return size < 32 && (allowed >> size & 1U) != 0; }
};
constexpr Length kLengths[] = {
    {"one, two or four", 1U << 1 | 1U << 2 | 1U << 4},
    {"one or two", 1U << 1 | 1U << 2},
    {"two or four", 1U << 2 | 1U << 4},  // before the "two" that it begins with
    {"two", 1U << 2},
    {"three", 1U << 3},
};

std::string one_of(std::string_view rule, const Value& value) {
  if (!value.is_string() && !value.is_int()) return "";
  const std::string text = value.is_string() ? value.as_string() : std::to_string(value.as_int());
  const std::vector<std::string_view> choices = choices_of(rule);
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
  return std::string(rule);
}

}  // namespace

std::vector<std::string_view> choices_of(std::string_view cell) {
  std::vector<std::string_view> out;
  const std::size_t colon = cell.find(": ");
  if (colon == std::string_view::npos) return out;
  std::string_view rest = cell.substr(colon + 2);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(", "), rest.size());
    out.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return out;
}

std::string broken_rule(std::string_view rule, const Value& value) {
  if (rule.empty() || value.is_null()) return "";
  if (rule == "batches") return is_batches(value) ? "" : std::string(kBatches);
  if (rule == "workers") return is_workers(value) ? "" : std::string(kWorkers);
  if (rule == "auto, off or a duration") {
    return is_hang_after(value) ? "" : std::string(kHangAfter);
  }
  if (rule == "devices") return is_devices(value) ? "" : std::string(kDevices);
  if (rule == "a name") {
    return is_name(value.as_string()) ? "" : "1 to 128 letters, digits, `.`, `_` or `-`";
  }
  if (rule == "at most 1h") {
    const auto duration = parse_duration_ms(value);
    return !duration.value || *duration.value <= 3'600'000 ? "" : "at most 1h";
  }
  for (const Length& length : kLengths) {
    if (!rule.starts_with(length.words)) continue;
    const std::string_view rest = rule.substr(length.words.size());
    if (value.is_list() && !length.allows(value.list().size()))
      return fmt::format("a list of {} numbers{}", length.words, rest);
    return rest.empty() ? "" : broken_rule(rest.substr(1), value);
  }
  if (value.is_list()) {
    for (const Value& item : value.list()) {
      if (std::string expected = broken_rule(rule, item); !expected.empty())
        return "each " + expected;
    }
    return "";
  }
  if (rule.starts_with("one of: ")) return one_of(rule, value);
  if (!value.is_number() || keeps_bound(rule, value.as_double())) return "";
  return fmt::format("a number {}", rule);
}

}  // namespace lctl::jobspec
