#include "client/cli/log_printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

// A rank that prints without line ends must not fill the memory.
constexpr std::size_t kLongestLine = 1 << 20;

// Bytes of the colour sequence ("ESC [ digits ; m") that begins at `at`; 0 = none does.
std::size_t colour_length(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\x1b[") return 0;
  const std::size_t end = text.find_first_not_of("0123456789;", at + 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 - at : 0;
}

}  // namespace

std::string terminal_line(std::string_view line) {
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (const std::size_t redrawn = line.rfind('\r'); redrawn != std::string_view::npos) {
    line.remove_prefix(redrawn + 1);
  }
  std::string out;
  bool coloured = false;
  while (!line.empty()) {
    if (const std::size_t colour = colour_length(line, 0)) {
      out += line.substr(0, colour);
      line.remove_prefix(colour);
      coloured = true;
      continue;
    }
    const std::size_t next = std::min(line.find('\x1b', 1), line.size());
    out += printable(line.substr(0, next));
    line.remove_prefix(next);
  }
  if (coloured) out += "\x1b[0m";
  return out;
}

bool LogPrinter::take(const v1::LogChunk& chunk) {
  const auto& id = chunk.stream();
  const Key key{id.attempt(), id.rank(), id.kind()};
  const auto [found, is_new] = streams_.try_emplace(key);
  Stream& stream = found->second;
  if (is_new) {
    stream.next = chunk.offset();
    stream.cut_start = chunk.offset() > 0;
  }
  std::string_view text = chunk.text();
  const std::uint64_t end = chunk.offset() + text.size();
  if (end <= stream.next) return out_.good();
  if (chunk.offset() < stream.next) text.remove_prefix(stream.next - chunk.offset());
  stream.next = end;
  take_text(key, stream, text);
  out_ << std::flush;
  return out_.good();
}

void LogPrinter::take_text(const Key& key, Stream& stream, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      stream.open_line += text;
      if (stream.open_line.size() > kLongestLine) {
        take_line(key, stream, std::exchange(stream.open_line, {}));
      }
      return;
    }
    stream.open_line += text.substr(0, end);
    take_line(key, stream, std::exchange(stream.open_line, {}));
    text.remove_prefix(end + 1);
  }
}

void LogPrinter::take_line(const Key& key, Stream& stream, std::string line) {
  if (std::exchange(stream.cut_start, false)) return;  // half a line says the wrong thing
  if (held_ == 0) {
    print(key, line);
    return;
  }
  stream.held.push_back(std::move(line));
  // Erased in bulk, so that a long log costs no more than its bytes.
  if (stream.held.size() > 2 * held_ + 16) {
    stream.held.erase(stream.held.begin(), stream.held.end() - static_cast<std::ptrdiff_t>(held_));
  }
}

void LogPrinter::release() {
  const std::size_t lines = std::exchange(held_, 0);
  for (auto& [key, stream] : streams_) {
    const std::size_t from = stream.held.size() > lines ? stream.held.size() - lines : 0;
    for (std::size_t i = from; i < stream.held.size(); ++i) print(key, stream.held[i]);
    stream.held.clear();
  }
  out_ << std::flush;
}

void LogPrinter::finish() {
  release();
  for (auto& [key, stream] : streams_) {
    if (!stream.open_line.empty()) take_line(key, stream, std::exchange(stream.open_line, {}));
  }
  out_ << std::flush;
}

void LogPrinter::print(const Key& key, std::string_view line) {
  const auto [attempt, rank, kind] = key;
  if (origin_ == Origin::kRank) {
    out_ << look_.paint(Tone::kSeries, fmt::format("[rank {}]", rank), rank) << ' ';
  } else if (origin_ == Origin::kAttemptAndRank) {
    out_ << look_.paint(Tone::kSeries, fmt::format("[attempt {} rank {}]", attempt, rank), rank)
         << ' ';
  }
  if (look_.terminal) {
    out_ << terminal_line(line) << '\n';
  } else {
    out_ << line << '\n';
  }
}

}  // namespace lctl::cli
