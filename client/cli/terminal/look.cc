#include "client/cli/terminal/look.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lctl::cli {
namespace {

constexpr int kNarrowest = 40;
constexpr int kWidest = 1000;

std::string_view code_of(Tone tone, int series) {
  static constexpr std::array<std::string_view, 6> kSeries = {"36", "33", "35", "32", "34", "31"};
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kDim:
      return "2";
    case Tone::kBold:
      return "1";
    case Tone::kGood:
      return "32";
    case Tone::kBad:
      return "31";
    case Tone::kBusy:
      return "33";
    case Tone::kAccent:
      return "36";
    case Tone::kSeries:
      return kSeries[static_cast<std::size_t>(series) % kSeries.size()];
  }
  return "";
}

// The locale that decides about characters, by POSIX's order of precedence; "" = none is set.
std::string locale_name(const VariableLookup& variable) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (const auto value = variable(name); value && !value->empty()) return *value;
  }
  return "";
}

bool speaks_utf8(std::string locale) {
  // Nothing set is common in containers, whose terminals do know UTF-8.
  if (locale.empty()) return true;
  std::transform(locale.begin(), locale.end(), locale.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
}

}  // namespace

std::string Look::paint(Tone tone, std::string_view text, int series) const {
  const std::string_view code = code_of(tone, series);
  if (!colour || code.empty() || text.empty()) return std::string(text);
  std::string out = "\x1b[";
  out += code;
  out += 'm';
  out += text;
  out += "\x1b[0m";
  return out;
}

Look make_look(bool terminal, int terminal_width, const VariableLookup& variable) {
  Look look;
  look.terminal = terminal;
  look.width = terminal_width;
  if (look.width <= 0) {
    if (const auto columns = variable("COLUMNS")) {
      std::from_chars(columns->data(), columns->data() + columns->size(), look.width);
    }
  }
  if (look.width <= 0) look.width = 80;
  look.width = std::clamp(look.width, kNarrowest, kWidest);
  const auto no_colour = variable("NO_COLOR");
  look.colour = terminal && !(no_colour && !no_colour->empty()) && variable("TERM") != "dumb";
  look.unicode = speaks_utf8(locale_name(variable));
  return look;
}

Look look_of(int fd, const VariableLookup& variable) {
  const bool terminal = ::isatty(fd) == 1;
  winsize size{};
  const bool known = terminal && ::ioctl(fd, TIOCGWINSZ, &size) == 0;
  return make_look(terminal, known ? size.ws_col : 0, variable);
}

}  // namespace lctl::cli
