#include "worker/trainer/data/formats/csv_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

namespace lctl {
namespace {

using Reason = BadRow::Reason;

// Powers of ten that a double holds exactly.
constexpr double kPowers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
constexpr std::uint64_t kIntegerPowers[] = {1,       10,        100,        1'000,      10'000,
                                            100'000, 1'000'000, 10'000'000, 100'000'000};
constexpr int kExactDigits = 15;  // 10^15 < 2^53

// The digits at the front of 8 characters, as a number, and how many there are. All 8 are looked at
// in one register: a loop would cost a mispredicted branch for nearly each cell of another length.
struct Digits {
  std::uint64_t value = 0;
  int count = 0;
};

constexpr std::ptrdiff_t kRegister = 8;
// A sign, 7 digits, a point, and two registers of digits: what parse_short_decimal() looks at.
constexpr std::ptrdiff_t kLongestShort = 1 + 7 + 1 + 2 * kRegister;
static_assert(std::endian::native == std::endian::little);

Digits leading_digits(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, kRegister);
  // Digits become 0 … 9, and what is more has its highest bit set then; a carry reaches only
  // characters behind the first that is no digit.
  const std::uint64_t values = word ^ 0x3030303030303030;
  const std::uint64_t others = ((values + 0x7676767676767676) | values) & 0x8080808080808080;
  Digits digits;
  digits.count = others == 0 ? 8 : std::countr_zero(others) / 8;
  if (digits.count == 0) return digits;
  // Zeros in front make them 8; then neighbours become numbers of 2, of 4 and of 8 digits.
  std::uint64_t all = values << (64 - 8 * digits.count);
  all = all * 10 + (all >> 8);
  constexpr std::uint64_t kEveryFourth = 0x000000FF000000FF;
  digits.value = ((all & kEveryFourth) * (100 + (1'000'000ULL << 32)) +
                  ((all >> 16) & kEveryFourth) * (1 + (10'000ULL << 32))) >>
                 32;
  return digits;
}

// Most cells are short decimal numbers. One with at most 15 digits is a quotient of two integers
// that a double holds exactly, so one division rounds it as correctly as from_chars does, much
// faster. Returns the end, or nullptr when it is something else. kLongestShort characters must be
// there to be read, whatever they are.
const char* parse_short_decimal(const char* at, double& value) {
  const bool negative = *at == '-';
  at += negative ? 1 : 0;
  const Digits whole = leading_digits(at);
  at += whole.count;
  if (whole.count == 8) return nullptr;
  std::uint64_t digits = whole.value;
  int behind_point = 0;
  if (*at == '.') {
    const Digits first = leading_digits(++at);
    digits = digits * kIntegerPowers[first.count] + first.value;
    behind_point = first.count;
    if (first.count == 8) {
      const Digits second = leading_digits(at + 8);
      digits = digits * kIntegerPowers[second.count] + second.value;
      behind_point += second.count;
    }
    at += behind_point;
  }
  const int count = whole.count + behind_point;
  if (count == 0 || count > kExactDigits) return nullptr;
  const double magnitude = static_cast<double>(digits) / kPowers[behind_point];
  value = negative ? -magnitude : magnitude;
  return at;
}

// Any cell: blanks, quotes, exponents, nan and inf.
std::optional<Reason> parse_cell(std::string_view field, double& value) {
  std::string_view text = trimmed_field(field);
  // from_chars takes no plus sign; "+-1" is still no number.
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error == std::errc::invalid_argument || end != text.data() + text.size())
    return Reason::kNotANumber;
  if (error != std::errc()) return Reason::kOutOfRange;
  return std::nullopt;
}

// Reads cells off one line.
class Cells {
 public:
  // Characters up to `limit` may be read.
  Cells(std::string_view line, const char* limit)
      : at_(line.data()), end_(line.data() + line.size()), limit_(limit) {}

  // The next cell; `more_` afterwards says whether one follows.
  std::optional<Reason> next(double& value) {
    const char* stop = limit_ - at_ > kLongestShort ? parse_short_decimal(at_, value) : nullptr;
    if (stop == nullptr && at_ != end_) {
      const auto [number_end, error] = std::from_chars(at_, end_, value);
      if (error == std::errc()) stop = number_end;
    }
    if (stop != nullptr && (stop == end_ || *stop == ',')) {
      cell_ = {at_, static_cast<std::size_t>(stop - at_)};
      more_ = stop != end_;
      at_ = more_ ? stop + 1 : end_;
      return std::nullopt;
    }
    std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
    cell_ = take_field(rest, more_);
    at_ = rest.data();
    return parse_cell(cell_, value);
  }

  bool more() const { return more_; }
  std::string_view last() const { return cell_; }

 private:
  const char* at_;
  const char* end_;
  const char* limit_;
  bool more_ = true;
  std::string_view cell_;
};

// True for a good row; else `bad` says why.
bool parse_row(std::string_view line, const char* limit, const RowParsing& parsing, float* row,
               BadRow& bad) {
  Cells cells(line, limit);
  std::size_t column = 0;
  for (; cells.more(); ++column) {
    if (column == parsing.columns) {
      bad.reason = Reason::kTooManyCells;
      return false;
    }
    double value = 0;
    const std::optional<Reason> wrong = cells.next(value);
    const auto number = static_cast<float>(value);
    if (wrong.has_value() || (parsing.finite && !std::isfinite(number))) {
      bad.reason = wrong.value_or(Reason::kNotFinite);
      bad.column = column;
      bad.cell = cells.last();
      return false;
    }
    row[column] = number;
  }
  bad.reason = Reason::kTooFewCells;
  bad.column = column;
  return column == parsing.columns;
}

}  // namespace

std::string_view trimmed_field(std::string_view field) {
  while (!field.empty() && (field.front() == ' ' || field.front() == '\t')) field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
  if (field.size() >= 2 && field.front() == '"' && field.back() == '"') {
    field = field.substr(1, field.size() - 2);
  }
  return field;
}

std::string_view take_field(std::string_view& line, bool& more) {
  bool quoted = false;
  std::size_t end = 0;
  while (end < line.size() && (quoted || line[end] != ',')) {
    if (line[end] == '"') quoted = !quoted;
    ++end;
  }
  const std::string_view field = line.substr(0, end);
  more = end < line.size();
  line.remove_prefix(more ? end + 1 : end);
  return field;
}

std::string BadRow::text(const std::vector<std::string>& columns) const {
  const auto of_cell = [&](std::string_view what) {
    const std::string_view text = trimmed_field(cell);
    return fmt::format("column '{}': {} {}", columns[column],
                       text.empty() ? "an empty cell" : fmt::format("'{}'", text.substr(0, 40)),
                       what);
  };
  switch (reason) {
    case Reason::kNotANumber:
      return of_cell("is not a number");
    case Reason::kOutOfRange:
      return of_cell("is beyond what a double can hold");
    case Reason::kNotFinite:
      return of_cell("is not finite");
    case Reason::kTooManyCells:
      return fmt::format("more cells than the header's {} columns", columns.size());
    case Reason::kTooFewCells:
      return fmt::format("{} cells where the header has {} columns", column, columns.size());
    case Reason::kEmptyLine:
      return "an empty line between rows";
  }
  return "";
}

std::int64_t parse_rows(std::string_view text, const RowParsing& parsing, float* rows,
                        std::int64_t capacity, std::vector<BadRow>& bad) {
  // Where a row goes that cannot be good, for there is no room left.
  std::vector<float> elsewhere;
  const char* limit = text.data() + text.size();
  std::int64_t good = 0;
  for (std::int64_t number = 0; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    float* row = rows + good * static_cast<std::int64_t>(parsing.columns);
    if (good == capacity) {
      elsewhere.resize(parsing.columns);
      row = elsewhere.data();
    }
    BadRow why{.line = number};
    const bool empty =
        line.empty() || ((line[0] == ' ' || line[0] == '\t') && trimmed_field(line).empty());
    if (empty) why.reason = Reason::kEmptyLine;
    if (!empty && parse_row(line, limit, parsing, row, why)) {
      ++good;
      continue;
    }
    bad.push_back(why);
    if (parsing.stop_at_first) break;
  }
  return good;
}

std::int64_t most_rows(std::string_view text, std::size_t columns) {
  return std::min(count_lines(text), static_cast<std::int64_t>((text.size() + 1) / (2 * columns)));
}

std::int64_t count_lines(std::string_view text) {
  std::int64_t lines = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++lines;
  }
  return lines;
}

}  // namespace lctl
