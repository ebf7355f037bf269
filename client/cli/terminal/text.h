// Widths and cuts of UTF-8 text as a terminal shows it.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/terminal/look.h"

namespace lctl::cli {

// Columns that the text takes: colour codes take none, East Asian wide characters two.
int display_width(std::string_view text);

// Text from outside made harmless for a terminal: control characters (escape sequences among them)
// and bytes that are no UTF-8 become '?', tabs and line ends a space.
std::string printable(std::string_view text);

// Text of several lines, each made printable(), with an end for the last one.
void print_lines(std::ostream& out, const std::string& text);

// At most `width` columns of plain text; what is cut off is replaced by the look's ellipsis.
std::string fit(std::string_view text, int width, const Look& look);

// Filled with blanks to `width` columns (never cut).
std::string pad(std::string text, int width, bool right_aligned = false);

// Plain text broken at blanks into lines of at most `width` columns; a longer word is broken.
std::vector<std::string> wrap(std::string_view text, int width);

}  // namespace lctl::cli
