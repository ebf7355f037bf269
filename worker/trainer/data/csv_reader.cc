#include "worker/trainer/data/csv_reader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace lctl {
namespace {

// A field's text without blanks around it and without quotes.
std::string_view trimmed(std::string_view field) {
  while (!field.empty() && (field.front() == ' ' || field.front() == '\t')) field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
  if (field.size() >= 2 && field.front() == '"' && field.back() == '"') {
    field = field.substr(1, field.size() - 2);
  }
  return field;
}

// Walks the lines of a text; understands LF and CRLF.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number_;
    return true;
  }
  std::int64_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::int64_t number_ = 0;
};

// The next field of `line`, which is cut off; quotes may hold commas.
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

[[noreturn]] void fail(const std::string& name, std::int64_t line, const std::string& why) {
  throw std::runtime_error(fmt::format("{}:{}: {}", name, line, why));
}

float parse_number(std::string_view field, const std::string& column, const std::string& name,
                   std::int64_t line) {
  std::string_view text = trimmed(field);
  // from_chars takes no plus sign; "+-1" is still no number.
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    fail(name, line,
         fmt::format("column '{}': {} is not a number", column,
                     text.empty() ? "an empty cell" : fmt::format("'{}'", text.substr(0, 40))));
  }
  return static_cast<float>(value);
}

}  // namespace

std::string read_possibly_compressed(const std::string& path) {
  // gzread passes plain files through unchanged.
  errno = 0;
  const std::unique_ptr<gzFile_s, int (*)(gzFile_s*)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) {
    throw std::runtime_error(fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  }
  gzbuffer(file.get(), 256 << 10);
  std::string text;
  std::string block(1 << 20, '\0');
  while (true) {
    const int got = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()));
    if (got < 0) {
      int code = 0;
      throw std::runtime_error(
          fmt::format("{}: cannot be read: {}", path, gzerror(file.get(), &code)));
    }
    if (got == 0) break;
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  // A cut-off gzip file ends without an error from gzread.
  int code = Z_OK;
  const char* message = gzerror(file.get(), &code);
  if (code != Z_OK && code != Z_STREAM_END) {
    throw std::runtime_error(fmt::format("{}: the compressed file is cut off: {}", path, message));
  }
  return text;
}

CsvTable parse_csv(std::string_view text, const std::string& name,
                   std::optional<std::int64_t> max_rows) {
  CsvTable table;
  Lines lines(text);
  std::string_view line;
  if (!lines.next(line) || trimmed(line).empty()) fail(name, 1, "the file has no header line");
  for (bool more = true; more;) table.columns.emplace_back(trimmed(take_field(line, more)));
  std::vector<float> values;
  std::int64_t rows = 0;
  while ((!max_rows.has_value() || rows < *max_rows) && lines.next(line)) {
    if (trimmed(line).empty()) {
      while (lines.next(line)) {
        if (!trimmed(line).empty()) fail(name, lines.number(), "data after an empty line");
      }
      break;
    }
    std::size_t column = 0;
    for (bool more = true; more; ++column) {
      const std::string_view field = take_field(line, more);
      if (column >= table.columns.size()) {
        fail(name, lines.number(),
             fmt::format("more cells than the header's {} columns", table.columns.size()));
      }
      values.push_back(parse_number(field, table.columns[column], name, lines.number()));
    }
    if (column < table.columns.size()) {
      fail(name, lines.number(),
           fmt::format("{} cells where the header has {} columns", column, table.columns.size()));
    }
    ++rows;
  }
  if (rows == 0) fail(name, lines.number(), "the file has a header but no data");
  table.values = at::empty({rows, static_cast<std::int64_t>(table.columns.size())},
                           at::TensorOptions().dtype(at::kFloat));
  std::memcpy(table.values.mutable_data_ptr<float>(), values.data(), values.size() * sizeof(float));
  return table;
}

}  // namespace lctl
