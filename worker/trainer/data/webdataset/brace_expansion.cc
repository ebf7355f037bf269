#include "worker/trainer/data/webdataset/brace_expansion.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "worker/trainer/core/errors.h"

namespace lctl::webdataset {
namespace {

using Texts = std::vector<std::string>;

constexpr std::size_t kMostResults = 1'000'000;
constexpr std::size_t kMostBytes = 256U << 20U;
constexpr int kDeepest = 32;
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// Expands one pattern. Thread rule: one strand only.
class Expansion {
 public:
  explicit Expansion(std::string_view whole) : whole_(whole) {}

  Texts pattern(std::string_view text, int depth);

 private:
  Texts expression(std::string_view text, int depth);
  std::optional<Texts> numbers(std::string_view first, std::string_view last,
                               std::string_view step);
  std::optional<Texts> letters(std::string_view first, std::string_view last,
                               std::string_view step);
  std::optional<Texts> range(std::string_view text);
  Texts product(const Texts& heads, const Texts& tails);
  void limit(std::uint64_t results, std::uint64_t bytes) const;
  [[noreturn]] void fail(std::string_view why) const {
    throw MisconfigurationException(fmt::format("shards: '{}' {}", whole_, why));
  }

  std::string_view whole_;
};

void Expansion::limit(std::uint64_t results, std::uint64_t bytes) const {
  if (results > kMostResults || bytes > kMostBytes)
    fail(fmt::format("stands for more than {} shards", kMostResults));
}

std::uint64_t total_bytes(const Texts& texts) {
  std::uint64_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

Texts Expansion::product(const Texts& heads, const Texts& tails) {
  limit(std::uint64_t{heads.size()} * tails.size(),
        total_bytes(heads) * tails.size() + total_bytes(tails) * heads.size());
  Texts all;
  all.reserve(heads.size() * tails.size());
  for (const std::string& head : heads) {
    for (const std::string& tail : tails) all.push_back(head + tail);
  }
  return all;
}

std::string without_escapes(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    plain.push_back(text[i]);
  }
  return plain;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  constexpr std::int64_t kLargest = 1'000'000'000'000'000;  // sums of two cannot overflow
  if (error != std::errc() || end != text.data() + text.size() || value > kLargest ||
      value < -kLargest)
    return std::nullopt;
  return value;
}

// Both ends are part of it, in either direction; a step has no sign of its own.
std::optional<std::int64_t> step_of(std::string_view text) {
  if (text.empty()) return 1;
  std::optional<std::int64_t> step = number(text);
  if (step.has_value() && *step < 0) step = -*step;
  if (step.has_value() && *step == 0) step = 1;
  return step;
}

bool has_leading_zero(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text.front() == '0';
}

std::optional<Texts> Expansion::numbers(std::string_view first, std::string_view last,
                                        std::string_view step_text) {
  const std::optional<std::int64_t> from = number(first);
  const std::optional<std::int64_t> to = number(last);
  const std::optional<std::int64_t> step = step_of(step_text);
  if (!from.has_value() || !to.has_value() || !step.has_value()) return std::nullopt;
  const std::size_t width =
      has_leading_zero(first) || has_leading_zero(last) ? std::max(first.size(), last.size()) : 0;
  const std::int64_t distance = *from < *to ? *to - *from : *from - *to;
  const std::int64_t count = distance / *step + 1;
  limit(static_cast<std::uint64_t>(count),
        static_cast<std::uint64_t>(count) * std::max<std::size_t>(width, 1));
  Texts all;
  all.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t value = *from < *to ? *from + i * *step : *from - i * *step;
    all.push_back(fmt::format("{:0{}}", value, width));
  }
  return all;
}

std::optional<Texts> Expansion::letters(std::string_view first, std::string_view last,
                                        std::string_view step_text) {
  if (first.size() != 1 || last.size() != 1) return std::nullopt;
  const std::size_t from = kLetters.find(first);
  const std::size_t to = kLetters.find(last);
  const std::optional<std::int64_t> step = step_of(step_text);
  if (from == std::string_view::npos || to == std::string_view::npos || !step.has_value())
    return std::nullopt;
  Texts all;
  const std::size_t distance = from < to ? to - from : from - to;
  for (std::size_t i = 0; i <= distance; i += static_cast<std::size_t>(*step))
    all.emplace_back(1, kLetters[from < to ? from + i : from - i]);
  return all;
}

// first..last or first..last..step
std::optional<Texts> Expansion::range(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view first = text.substr(0, dots);
  std::string_view last = text.substr(dots + 2);
  std::string_view step;
  if (const std::size_t more = last.find(".."); more != std::string_view::npos) {
    step = last.substr(more + 2);
    last = last.substr(0, more);
    if (step.empty()) return std::nullopt;
  }
  std::optional<Texts> all = numbers(first, last, step);
  return all.has_value() ? all : letters(first, last, step);
}

// What stands between two braces, without them.
Texts Expansion::expression(std::string_view text, int depth) {
  if (std::optional<Texts> all = range(text)) return std::move(*all);
  Texts all;
  std::size_t start = 0;
  int open = 0;
  bool list = false;
  const auto take = [&](std::string_view item) {
    Texts more = pattern(item, depth + 1);
    limit(all.size() + more.size(), 0);
    std::move(more.begin(), more.end(), std::back_inserter(all));
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '{') {
      ++open;
    } else if (text[at] == '}') {
      --open;
    } else if (text[at] == ',' && open == 0) {
      take(text.substr(start, at - start));
      start = at + 1;
      list = true;
    }
  }
  if (list) {
    take(text.substr(start));
    return all;
  }
  return product(product({"{"}, pattern(text, depth + 1)), {"}"});
}

Texts Expansion::pattern(std::string_view text, int depth) {
  if (depth > kDeepest) fail("has too many braces inside each other");
  Texts all = {""};
  std::size_t start = 0;
  int open = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '{') {
      if (open++ == 0) {
        all = product(all, {without_escapes(text.substr(start, at - start))});
        start = at + 1;
      }
    } else if (text[at] == '}') {
      if (--open < 0) fail("has a } without its {; write \\} for one in a name");
      if (open == 0) {
        all = product(all, expression(text.substr(start, at - start), depth));
        start = at + 1;
      }
    }
  }
  if (open != 0) fail("has a { without its }; write \\{ for one in a name");
  return product(all, {without_escapes(text.substr(start))});
}

}  // namespace

std::vector<std::string> expand_braces(std::string_view pattern) {
  return Expansion(pattern).pattern(pattern, 0);
}

}  // namespace lctl::webdataset
