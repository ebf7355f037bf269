#include "http/prometheus/exposition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/utf8.h"

namespace lctl::prometheus {
namespace {

// Source: Prometheus' data model; colons are for recording rules.
bool is_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string_view name_of(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kGauge:
      return "gauge";
    case Type::kSummary:
      return "summary";
  }
  return "untyped";
}

// Appends text with what the format gives a meaning escaped.
void append_escaped(std::string& out, std::string_view text, bool quotes) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view character = length == 0 ? "?" : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
    if (character == "\\") {
      out += "\\\\";
    } else if (character == "\n") {
      out += "\\n";
    } else if (quotes && character == "\"") {
      out += "\\\"";
    } else {
      out += character;
    }
  }
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);  // the shortest text that reads back as the same number
}

}  // namespace

void Family::line(std::string_view suffix, Labels labels, std::string_view value) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  for (const auto& [name, text] : labels) {
    LCTL_CHECK(is_name(name), "a label's name is letters, digits and '_'");
    text_ += before;
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, text, /*quotes=*/true);
    text_ += '"';
    before = ',';
  }
  if (labels.size() > 0) text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void Family::sample(Labels labels, double value) { line("", labels, number(value)); }

void Family::sample(Labels labels, std::uint64_t value) {
  line("", labels, fmt::format("{}", value));
}

void Family::summary(Labels labels, double sum, std::uint64_t count) {
  line("_sum", labels, number(sum));
  line("_count", labels, fmt::format("{}", count));
}

Family Exposition::family(std::string_view name, Type type, std::string_view help) {
  LCTL_CHECK(is_name(name), "a metric's name is letters, digits and '_'");
  LCTL_CHECK(type != Type::kCounter || name.ends_with("_total"), "a counter ends in _total");
  LCTL_CHECK(text_.find(fmt::format("# TYPE {} ", name)) == std::string::npos,
             "a metric stands once on its page");
  text_ += fmt::format("# HELP {} ", name);
  append_escaped(text_, help, /*quotes=*/false);
  text_ += fmt::format("\n# TYPE {} {}\n", name, name_of(type));
  return Family(text_, std::string(name));
}

}  // namespace lctl::prometheus
