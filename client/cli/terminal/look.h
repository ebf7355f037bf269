// What the place that text goes to can show: width, colours, characters.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lctl::cli {

// The value of an environment variable; empty when it is not set.
using VariableLookup = std::function<std::optional<std::string>(const char*)>;

// Colours by meaning; the renderers never name one by its code.
enum class Tone { kPlain, kDim, kBold, kGood, kBad, kBusy, kAccent, kSeries };

// Thread rule: immutable once made.
struct Look {
  int width = 80;
  bool terminal = false;  // lines may be redrawn
  bool colour = false;
  bool unicode = true;  // false: plain ASCII only

  // `text` in that tone, or as it is without colour. `series` chooses among the colours of
  // Tone::kSeries.
  std::string paint(Tone tone, std::string_view text, int series = 0) const;
  std::string_view ellipsis() const { return unicode ? "…" : "~"; }
};

// Of an open file (1 = stdout). Width: the terminal's, else COLUMNS, else 80. Colour: on a terminal
// unless NO_COLOR is set or TERM is "dumb". Unicode: unless LC_ALL, LC_CTYPE or LANG names a locale
// without UTF-8.
Look look_of(int fd, const VariableLookup& variable);

// `look_of` without the system calls.
Look make_look(bool terminal, int terminal_width, const VariableLookup& variable);

}  // namespace lctl::cli
