#include "worker/trainer/core/python_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace lctl {
namespace {

// The parts of a format spec.
struct Spec {
  std::string fill = " ";
  char align = 0;
  char sign = '-';
  bool alternate = false;
  bool comma = false;
  std::size_t width = 0;
  int precision = -1;
  char type = 0;
};

constexpr std::size_t kMaxWidth = 4096;

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

std::size_t read_number(std::string_view& text) {
  std::size_t number = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    number = number * 10 + static_cast<std::size_t>(text[0] - '0');
    if (number > kMaxWidth) throw std::invalid_argument("Too many decimal digits in format string");
    text.remove_prefix(1);
  }
  return number;
}

Spec parse(std::string_view text) {
  Spec spec;
  if (text.size() >= 2 && is_align(text[1])) {
    spec.fill = text.substr(0, 1);
    spec.align = text[1];
    text.remove_prefix(2);
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  if (!text.empty() && (text[0] == '+' || text[0] == '-' || text[0] == ' ')) {
    spec.sign = text[0];
    text.remove_prefix(1);
  }
  if (!text.empty() && text[0] == '#') {
    spec.alternate = true;
    text.remove_prefix(1);
  }
  if (!text.empty() && text[0] == '0') {
    if (spec.align == 0) {
      spec.fill = "0";
      spec.align = '=';
    }
    text.remove_prefix(1);
  }
  spec.width = read_number(text);
  if (!text.empty() && (text[0] == ',' || text[0] == '_')) {
    spec.comma = text[0] == ',';
    text.remove_prefix(1);
  }
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    if (text.empty() || text[0] < '0' || text[0] > '9')
      throw std::invalid_argument("Format specifier missing precision");
    spec.precision = static_cast<int>(read_number(text));
  }
  if (!text.empty()) {
    spec.type = text[0];
    text.remove_prefix(1);
  }
  if (!text.empty()) throw std::invalid_argument("Invalid format specifier");
  return spec;
}

std::string pad(const Spec& spec, std::string sign, std::string digits) {
  const std::size_t size = sign.size() + digits.size();
  if (size >= spec.width) return sign + digits;
  const std::size_t missing = spec.width - size;
  const auto filled = [&spec](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += spec.fill;
    return text;
  };
  switch (spec.align) {
    case '<':
      return sign + digits + filled(missing);
    case '^':
      return filled(missing / 2) + sign + digits + filled(missing - missing / 2);
    case '=':
      return sign + filled(missing) + digits;
    default:
      return filled(missing) + sign + digits;
  }
}

std::string with_commas(std::string digits, const Spec& spec) {
  if (!spec.comma) return digits;
  std::size_t end = digits.find_first_not_of("0123456789");
  if (end == std::string::npos) end = digits.size();
  for (std::size_t i = end; i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string sign_text(bool negative, const Spec& spec) {
  if (negative) return "-";
  return spec.sign == '-' ? "" : std::string(1, spec.sign);
}

[[noreturn]] void unknown_code(char code, const char* type) {
  throw std::invalid_argument(
      fmt::format("Unknown format code '{}' for object of type '{}'", code, type));
}

// Like 'g', but a number without exponent has a digit behind the point, which counts as one.
std::string general_with_fraction(double magnitude, int precision) {
  std::string scientific = fmt::format("{:.{}e}", magnitude, precision - 1);
  const std::size_t e = scientific.find('e');
  const int exponent = std::atoi(scientific.c_str() + e + 1);
  if (exponent >= -4 && exponent < precision - 1) {
    std::string digits = fmt::format("{:.{}g}", magnitude, precision);
    return digits.find('.') == std::string::npos ? digits + ".0" : digits;
  }
  std::size_t end = e;
  if (scientific.find('.') != std::string::npos) {
    while (scientific[end - 1] == '0') --end;
    if (scientific[end - 1] == '.') --end;
  }
  return scientific.erase(end, e - end);
}

}  // namespace

std::string python_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char scientific[40];
  const auto end = std::to_chars(scientific, scientific + sizeof scientific, value,
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view text(scientific, static_cast<std::size_t>(end - scientific));
  const std::size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02d}", text.substr(0, e), exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  char fixed[400];
  const auto fixed_end =
      std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed).ptr;
  std::string result(fixed, fixed_end);
  if (result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::string python_repr(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (c == '\r') {
      result += "\\r";
    } else {
      result += c;
    }
  }
  return result + quote;
}

std::string python_format(double value, std::string_view text) {
  const Spec spec = parse(text);
  const double magnitude = std::fabs(value);
  const bool negative = std::signbit(value) && !std::isnan(value);
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
    if (spec.type == 'F' || spec.type == 'E' || spec.type == 'G') {
      for (char& c : digits) c = static_cast<char>(c - 'a' + 'A');
    }
    return pad(spec, sign_text(negative, spec), digits);
  }
  switch (spec.type) {
    case 0:
      if (spec.precision < 0) {
        digits = python_repr(magnitude);
      } else {
        digits = general_with_fraction(magnitude, std::max(spec.precision, 1));
      }
      break;
    case 'f':
    case 'F':
      digits = fmt::format("{:.{}f}", magnitude, spec.precision < 0 ? 6 : spec.precision);
      break;
    case 'e':
    case 'E':
      digits = fmt::format("{:.{}e}", magnitude, spec.precision < 0 ? 6 : spec.precision);
      if (spec.type == 'E') digits[digits.find('e')] = 'E';
      break;
    case 'g':
    case 'G':
    case 'n': {
      const int precision = spec.precision < 0 ? 6 : spec.precision == 0 ? 1 : spec.precision;
      digits = fmt::format("{:.{}g}", magnitude, precision);
      if (spec.type == 'G' && digits.find('e') != std::string::npos) digits[digits.find('e')] = 'E';
      break;
    }
    case '%':
      digits = fmt::format("{:.{}f}%", magnitude * 100, spec.precision < 0 ? 6 : spec.precision);
      break;
    default:
      unknown_code(spec.type, "float");
  }
  return pad(spec, sign_text(negative, spec), with_commas(digits, spec));
}

std::string python_format(std::int64_t value, std::string_view text) {
  const Spec spec = parse(text);
  const bool negative = value < 0;
  const std::uint64_t magnitude =
      negative ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::string digits;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      if (spec.precision >= 0)
        throw std::invalid_argument("Precision not allowed in integer format specifier");
      digits = with_commas(std::to_string(magnitude), spec);
      break;
    case 'x':
      digits = fmt::format("{:x}", magnitude);
      break;
    case 'X':
      digits = fmt::format("{:X}", magnitude);
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      break;
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case '%':
      return python_format(static_cast<double>(value), text);
    default:
      unknown_code(spec.type, "int");
  }
  return pad(spec, sign_text(negative, spec), digits);
}

}  // namespace lctl
