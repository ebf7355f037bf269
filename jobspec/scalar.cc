#include "jobspec/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

namespace lctl::jobspec {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

template <std::size_t N>
bool one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 9> kTrue = {"yes",  "Yes", "YES", "true", "True",
                                                   "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 9> kFalse = {"no",    "No",  "NO",  "false", "False",
                                                    "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 3> kInfinity = {".inf", ".Inf", ".INF"};
constexpr std::array<std::string_view, 3> kNotANumber = {".nan", ".NaN", ".NAN"};

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

// Takes characters off the front of `text` while they are digits or underscores.
std::string_view take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && (is_digit(text[n]) || text[n] == '_')) ++n;
  const std::string_view taken = text.substr(0, n);
  text.remove_prefix(n);
  return taken;
}

bool only(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

Scalar to_int(std::string_view digits, int base, bool negative) {
  const std::string clean = without_underscores(digits);
  if (clean.empty()) return PlainText{};
  std::uint64_t magnitude = 0;
  const auto [end, error] =
      std::from_chars(clean.data(), clean.data() + clean.size(), magnitude, base);
  if (error == std::errc::result_out_of_range) return NumberTooLarge{};
  if (error != std::errc() || end != clean.data() + clean.size()) return PlainText{};
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (magnitude > kMax + (negative ? 1 : 0)) return NumberTooLarge{};
  return negative ? static_cast<std::int64_t>(0 - magnitude) : static_cast<std::int64_t>(magnitude);
}

Scalar to_float(const std::string& text, bool negative) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return NumberTooLarge{};
  if (error != std::errc() || end != text.data() + text.size()) return PlainText{};
  return negative ? -value : value;
}

// "1:30", "1:30:05" and "1:30.5": digits, then groups below 60, then perhaps a fraction.
std::optional<Scalar> base_60(std::string_view body, bool negative) {
  std::string_view rest = body;
  const std::string_view head = take_digits(rest);
  if (head.empty() || !is_digit(head[0]) || rest.empty() || rest[0] != ':') return std::nullopt;
  double value = 0;
  const std::string clean = without_underscores(head);
  std::from_chars(clean.data(), clean.data() + clean.size(), value);
  while (!rest.empty() && rest[0] == ':') {
    rest.remove_prefix(1);
    std::size_t n = 0;
    while (n < rest.size() && n < 2 && is_digit(rest[n])) ++n;
    if (n == 0 || (n == 2 && rest[0] > '5')) return std::nullopt;
    value = value * 60 + (n == 2 ? (rest[0] - '0') * 10 + (rest[1] - '0') : rest[0] - '0');
    rest.remove_prefix(n);
  }
  if (rest.empty()) {
    if (head[0] == '0') return std::nullopt;
    if (value > 9e15) return NumberTooLarge{};
    return static_cast<std::int64_t>(negative ? -value : value);
  }
  if (rest[0] != '.' || !only(rest.substr(1), "0123456789_")) return std::nullopt;
  double fraction = 0;
  const std::string digits = "0." + without_underscores(rest.substr(1)) + "0";
  std::from_chars(digits.data(), digits.data() + digits.size(), fraction);
  return negative ? -(value + fraction) : value + fraction;
}

std::optional<Scalar> integer(std::string_view body, bool negative) {
  if (body.starts_with("0b") && only(body.substr(2), "01_"))
    return to_int(body.substr(2), 2, negative);
  if (body.starts_with("0x") && only(body.substr(2), "0123456789abcdefABCDEF_")) {
    return to_int(body.substr(2), 16, negative);
  }
  if (!is_digit(body[0]) || !only(body, "0123456789_")) return std::nullopt;
  if (body[0] != '0') return to_int(body, 10, negative);
  if (body == "0") return std::int64_t{0};
  return only(body, "01234567_") ? to_int(body.substr(1), 8, negative) : PlainText{};
}

std::optional<Scalar> floating(std::string_view body, bool negative, bool has_sign) {
  std::string_view rest = body;
  const std::string_view whole = take_digits(rest);
  if (!whole.empty() && !is_digit(whole[0])) return std::nullopt;
  std::string_view fraction;
  const bool has_point = rest.starts_with('.');
  if (has_point) {
    rest.remove_prefix(1);
    fraction = take_digits(rest);
  }
  if (whole.empty() && (has_sign || fraction.empty() || !is_digit(fraction[0])))
    return std::nullopt;
  std::string exponent;
  if (rest.starts_with('e') || rest.starts_with('E')) {
    rest.remove_prefix(1);
    exponent = "e";
    if (rest.starts_with('-') || rest.starts_with('+')) {
      if (rest[0] == '-') exponent += '-';
      rest.remove_prefix(1);
    }
    if (rest.empty() || !only(rest, "0123456789")) return std::nullopt;
    exponent += rest;
    rest = {};
  }
  if (!rest.empty() || (!has_point && exponent.empty())) return std::nullopt;
  return to_float(
      "0" + without_underscores(whole) + "." + without_underscores(fraction) + "0" + exponent,
      negative);
}

}  // namespace

Scalar resolve_plain_scalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return std::monostate{};
  }
  if (one_of(text, kTrue)) return true;
  if (one_of(text, kFalse)) return false;
  const bool has_sign = text[0] == '-' || text[0] == '+';
  const bool negative = text[0] == '-';
  const std::string_view body = text.substr(has_sign ? 1 : 0);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  if (one_of(body, kInfinity)) return negative ? -kInf : kInf;
  if (one_of(text, kNotANumber)) return std::numeric_limits<double>::quiet_NaN();
  if (body.empty() || !(is_digit(body[0]) || body[0] == '.')) return PlainText{};
  if (const auto value = integer(body, negative)) return *value;
  if (const auto value = base_60(body, negative)) return *value;
  if (const auto value = floating(body, negative, has_sign)) return *value;
  return PlainText{};
}

bool is_base_60(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return base_60(text, false).has_value();
}

bool is_base_8(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && only(text, "01234567_");
}

std::string write_float(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  std::string text(buffer.data(), end);
  const std::size_t exponent = text.find('e');
  if (text.find('.') == std::string::npos) {
    text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  }
  return text;
}

}  // namespace lctl::jobspec
