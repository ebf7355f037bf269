#include "worker/trainer/profilers/call_stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>

#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

// What pstats keeps of `count` rows, and how it names the restriction.
std::size_t kept(std::size_t count, const std::variant<std::int64_t, double>& restriction) {
  if (const auto* rows = std::get_if<std::int64_t>(&restriction))
    return *rows >= 0 ? std::min(count, static_cast<std::size_t>(*rows)) : count;
  const double share = std::get<double>(restriction);
  if (share < 0 || share >= 1) return count;
  return static_cast<std::size_t>(static_cast<double>(count) * share + 0.5);
}

std::string name_of(const std::variant<std::int64_t, double>& restriction) {
  if (const auto* rows = std::get_if<std::int64_t>(&restriction)) return std::to_string(*rows);
  return python_repr(std::get<double>(restriction));
}

// Python's marshal format: a type byte, then little-endian values.
void put_int(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}
void put_text(std::string& out, std::string_view text) {
  out += 'u';
  put_int(out, text.size(), 4);
  out += text;
}
void put_number(std::string& out, std::int64_t value) {
  out += 'i';
  put_int(out, static_cast<std::uint64_t>(std::min<std::int64_t>(value, INT32_MAX)), 4);
}
void put_number(std::string& out, double value) {
  out += 'g';
  put_int(out, std::bit_cast<std::uint64_t>(value), 8);
}
void put_tuple(std::string& out, std::uint64_t size) {
  out += '(';
  put_int(out, size, 4);
}

}  // namespace

void CallTable::add(const Action& action, std::int64_t total, std::int64_t cumulative) {
  if (action.index >= by_index_.size()) by_index_.resize(action.index + 1, -1);
  std::int32_t& row = by_index_[action.index];
  if (row < 0) {
    row = static_cast<std::int32_t>(rows_.size());
    rows_.push_back({&action});
  }
  CallStats& stats = rows_[static_cast<std::size_t>(row)];
  ++stats.calls;
  stats.total += total;
  stats.cumulative += cumulative;
}

std::string CallTable::text(const std::variant<std::int64_t, double>& rows) const {
  std::vector<CallStats> sorted = rows_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const CallStats& a, const CallStats& b) {
    return a.cumulative > b.cumulative;
  });
  std::int64_t calls = 0;
  std::int64_t total = 0;
  for (const CallStats& stats : sorted) {
    calls += stats.calls;
    total += stats.total;
  }
  std::string out =
      fmt::format("         {} function calls in {:.3f} seconds\n\n", calls, seconds(total));
  out += "   Ordered by: cumulative time\n";
  const std::size_t shown = kept(sorted.size(), rows);
  if (shown != sorted.size()) {
    out += fmt::format("   List reduced from {} to {} due to restriction <{}>\n", sorted.size(),
                       shown, name_of(rows));
  }
  out += "\n";
  if (shown == 0) return out;
  out += "   ncalls  tottime  percall  cumtime  percall filename:lineno(function)\n";
  for (std::size_t i = 0; i < shown; ++i) {
    const CallStats& stats = sorted[i];
    const double count = static_cast<double>(stats.calls);
    out +=
        fmt::format("{:>9} {:8.3f} {:8.3f} {:8.3f} {:8.3f} {}\n", stats.calls, seconds(stats.total),
                    seconds(stats.total) / count, seconds(stats.cumulative),
                    seconds(stats.cumulative) / count, stats.action->name);
  }
  return out + "\n\n";
}

std::string CallTable::marshalled() const {
  std::string out = "{";
  for (const CallStats& stats : rows_) {
    put_tuple(out, 3);  // file, line, function
    put_text(out, "~");
    put_number(out, std::int64_t{0});
    put_text(out, stats.action->name);
    put_tuple(out, 5);  // primitive calls, calls, tottime, cumtime, callers
    put_number(out, stats.calls);
    put_number(out, stats.calls);
    put_number(out, seconds(stats.total));
    put_number(out, seconds(stats.cumulative));
    out += "{0";
  }
  return out + "0";
}

}  // namespace lctl
