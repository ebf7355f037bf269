// Consecutive rows of a CSV text: what one thread parses of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lctl {

// A field's text without blanks around it and without quotes.
std::string_view trimmed_field(std::string_view field);

// The next field of `line`, which is cut off; quotes may hold commas. `more`: a comma follows it.
std::string_view take_field(std::string_view& line, bool& more);

// A row that cannot be used, and why.
struct BadRow {
  enum class Reason : std::uint8_t {
    kNotANumber,
    kOutOfRange,
    kNotFinite,
    kTooManyCells,
    kTooFewCells,
    kEmptyLine
  };
  std::int64_t line = 0;  // from the beginning of the rows, 0 = first
  Reason reason = Reason::kNotANumber;
  std::size_t column = 0;  // kTooFewCells: how many there are
  std::string_view cell;   // of the text

  // "column 'b': 'x' is not a number"
  std::string text(const std::vector<std::string>& columns) const;
};

struct RowParsing {
  std::size_t columns = 0;
  bool finite = false;         // NaN and infinities make a row bad
  bool stop_at_first = false;  // bad row
};

// Writes the good rows of `text`, which is whole lines (the last end may be missing), to `rows` one
// behind the other, and appends the bad ones. Returns how many are good. There is room for
// `capacity` rows, which the caller knows to be enough for the good ones (see most_rows). Any
// thread.
std::int64_t parse_rows(std::string_view text, const RowParsing& parsing, float* rows,
                        std::int64_t capacity, std::vector<BadRow>& bad);

// As many good rows as the bytes can hold at most: a cell has a character, and a comma or line end.
// To be asked before memory is, since lines alone say little: a wide header may claim more.
std::int64_t most_rows(std::string_view text, std::size_t columns);

// Lines, an unfinished last one too.
std::int64_t count_lines(std::string_view text);

}  // namespace lctl
