#include "worker/trainer/data/formats/csv_reader.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "worker/trainer/data/formats/csv_rows.h"
#include "worker/trainer/data/formats/inflate.h"

namespace lctl {
namespace {

// A name costs more memory than its bytes in the file.
constexpr std::size_t kMaxColumns = 1'000'000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // what spreadsheets put in front

[[noreturn]] void fail(const std::string& name, std::int64_t line, const std::string& why) {
  throw BadSample(fmt::format("{}:{}: {}", name, line, why));
}

// Cuts the first line off.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::vector<std::string> parse_header(std::string_view line, const std::string& name) {
  if (trimmed_field(line).empty()) fail(name, 1, "the file has no header line");
  std::vector<std::string> columns;
  for (bool more = true; more;) {
    if (columns.size() == kMaxColumns) {
      fail(name, 1, fmt::format("the header has more than {} columns", kMaxColumns));
    }
    columns.emplace_back(trimmed_field(take_field(line, more)));
  }
  return columns;
}

// The rows without the empty lines behind them, and no more of them than are wanted.
std::string_view wanted_rows(std::string_view text, std::optional<std::int64_t> max_rows) {
  if (max_rows.has_value()) {
    std::size_t end = 0;
    for (std::int64_t row = 0; row < *max_rows && end < text.size(); ++row) {
      const std::size_t line_end = text.find('\n', end);
      end = line_end == std::string_view::npos ? text.size() : line_end + 1;
    }
    text = text.substr(0, end);
  }
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos) return {};
  return text.substr(0, text.find('\n', last));
}

// A part of the rows, for one thread.
struct Piece {
  std::string_view text;
  std::int64_t lines = 0;
  std::int64_t capacity = 0;  // rows
  std::int64_t first = 0;     // where its rows begin in the table
  std::int64_t good = 0;
  std::vector<BadRow> bad;
};

// Cuts behind line ends.
std::vector<Piece> pieces_of(std::string_view rows, std::size_t piece_size) {
  std::vector<Piece> pieces;
  while (!rows.empty()) {
    const std::size_t end = rows.find('\n', std::min(rows.size(), std::max(piece_size, 1UL)) - 1);
    pieces.push_back({.text = rows.substr(0, end == std::string_view::npos ? end : end + 1)});
    rows.remove_prefix(pieces.back().text.size());
  }
  return pieces;
}

template <typename Fn>
void for_each_at_once(std::vector<Piece>& pieces, const Fn& fn) {
  at::parallel_for(0, static_cast<std::int64_t>(pieces.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (; begin < end; ++begin) fn(pieces[static_cast<std::size_t>(begin)]);
                   });
}

// Reports bad rows in the order of the file, whichever thread has found them.
void report(const std::vector<Piece>& pieces, const std::string& name, SkippedSamples* skipped,
            CsvTable& table) {
  std::int64_t line = 2;  // of the piece's first row
  for (const Piece& piece : pieces) {
    for (const BadRow& row : piece.bad) {
      const std::int64_t at = line + row.line;
      if (skipped == nullptr) fail(name, at, row.text(table.columns));
      skipped->add(fmt::format("{}:{}: {}", name, at, row.text(table.columns)));
      table.skipped_lines.push_back(at);
    }
    line += piece.lines;
  }
}

// Closes the gaps that bad rows have left at the ends of pieces.
std::int64_t close_gaps(const std::vector<Piece>& pieces, std::size_t columns, float* values) {
  std::int64_t rows = 0;
  for (const Piece& piece : pieces) {
    const auto width = static_cast<std::int64_t>(columns);
    if (rows != piece.first) {
      std::memmove(values + rows * width, values + piece.first * width,
                   static_cast<std::size_t>(piece.good * width) * sizeof(float));
    }
    rows += piece.good;
  }
  return rows;
}

}  // namespace

std::int64_t CsvTable::line_of(std::int64_t row) const {
  std::int64_t line = row + 2;
  for (const std::int64_t skipped : skipped_lines) {
    if (skipped > line) break;
    ++line;
  }
  return line;
}

CsvTable parse_csv(std::string_view text, const std::string& name, const CsvParsing& parsing) {
  CsvTable table;
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark)
    text.remove_prefix(kByteOrderMark.size());
  table.columns = parse_header(take_line(text), name);
  const std::size_t columns = table.columns.size();
  std::vector<Piece> pieces = pieces_of(wanted_rows(text, parsing.max_rows), parsing.piece_size);
  if (pieces.empty()) fail(name, 1, "the file has a header but no data");
  for_each_at_once(pieces, [&](Piece& piece) {
    piece.lines = count_lines(piece.text);
    piece.capacity = most_rows(piece.text, columns);
  });
  std::int64_t capacity = 0;
  for (Piece& piece : pieces) {
    piece.first = capacity;
    capacity += piece.capacity;
  }
  table.values = at::empty({capacity, static_cast<std::int64_t>(columns)},
                           at::TensorOptions().dtype(at::kFloat));
  auto* values = table.values.mutable_data_ptr<float>();
  const RowParsing rows{columns, parsing.finite, parsing.skipped == nullptr};
  for_each_at_once(pieces, [&](Piece& piece) {
    piece.good =
        parse_rows(piece.text, rows, values + piece.first * static_cast<std::int64_t>(columns),
                   piece.capacity, piece.bad);
  });
  report(pieces, name, parsing.skipped, table);
  const std::int64_t good = close_gaps(pieces, columns, values);
  if (good == 0) fail(name, 2, "every row is bad; skipping is for a few");
  if (good < capacity) table.values = table.values.narrow(0, 0, good);
  return table;
}

CsvTable read_csv(const std::string& path, const CsvParsing& parsing) {
  const SharedBytes file = read_possibly_compressed(path);
  return parse_csv(file.view(), path, parsing);
}

}  // namespace lctl
