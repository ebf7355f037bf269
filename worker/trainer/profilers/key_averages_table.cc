// Averages as text: torch/autograd/profiler_util.py's _build_table, column for column.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "worker/trainer/profilers/key_averages.h"

namespace lctl {
namespace {

constexpr std::size_t kColumnWidth = 12;
constexpr std::size_t kNameWidth = 55;    // at most
constexpr std::size_t kShapesWidth = 80;  // at most

struct SortKey {
  std::string_view name;  // with "device" for cuda
  double (*value)(const KeyAverage&);
};

constexpr std::array<SortKey, 9> kSortKeys = {{
    {"count", [](const KeyAverage& a) { return static_cast<double>(a.count); }},
    {"cpu_memory_usage",
     [](const KeyAverage& a) { return static_cast<double>(a.cpu_memory_usage); }},
    {"cpu_time",
     [](const KeyAverage& a) { return a.cpu_time_total / static_cast<double>(a.count); }},
    {"cpu_time_total", [](const KeyAverage& a) { return a.cpu_time_total; }},
    {"cuda_memory_usage",
     [](const KeyAverage& a) { return static_cast<double>(a.device_memory_usage); }},
    {"cuda_time",
     [](const KeyAverage& a) { return a.device_time_total / static_cast<double>(a.count); }},
    {"cuda_time_total", [](const KeyAverage& a) { return a.device_time_total; }},
    {"self_cpu_memory_usage",
     [](const KeyAverage& a) { return static_cast<double>(a.self_cpu_memory_usage); }},
    {"self_cuda_memory_usage",
     [](const KeyAverage& a) { return static_cast<double>(a.self_device_memory_usage); }},
}};

const SortKey* find_sort_key(std::string_view name) {
  const auto found = std::find_if(kSortKeys.begin(), kSortKeys.end(),
                                  [name](const SortKey& key) { return key.name == name; });
  return found == kSortKeys.end() ? nullptr : &*found;
}

std::string time_text(double micros) {
  if (micros >= 1e6) return fmt::format("{:.3f}s", micros / 1e6);
  if (micros >= 1e3) return fmt::format("{:.3f}ms", micros / 1e3);
  return fmt::format("{:.3f}us", micros);
}

std::string share_text(double micros, double total) {
  return total == 0 ? "NaN" : fmt::format("{:.2f}%", micros * 100.0 / total);
}

std::string memory_text(std::int64_t bytes) {
  constexpr double kKilo = 1024;
  const double size = static_cast<double>(bytes);
  if (std::fabs(size) >= kKilo * kKilo * kKilo)
    return fmt::format("{:.2f} GB", size / (kKilo * kKilo * kKilo));
  if (std::fabs(size) >= kKilo * kKilo) return fmt::format("{:.2f} MB", size / (kKilo * kKilo));
  if (std::fabs(size) >= kKilo) return fmt::format("{:.2f} KB", size / kKilo);
  return fmt::format("{} B", bytes);
}

// How FLOPs are shown: by the smallest of them.
struct FlopsUnit {
  std::string header;  // "" = there are none
  double scale = 1;
};

FlopsUnit flops_unit(const std::vector<KeyAverage>& averages) {
  constexpr std::array<std::string_view, 6> kUnits = {"FLOPs",  "KFLOPs", "MFLOPs",
                                                      "GFLOPs", "TFLOPs", "PFLOPs"};
  std::uint64_t least = 0;
  for (const KeyAverage& average : averages) {
    if (average.flops > 0 && (least == 0 || average.flops < least)) least = average.flops;
  }
  if (least == 0) return {};
  const double thousands = std::clamp(std::log10(static_cast<double>(least)) / 3, 0.0, 5.0);
  return {fmt::format("Total {}", kUnits[static_cast<std::size_t>(thousands)]),
          std::pow(10, std::floor(thousands) * -3.0)};
}

// Right-aligned columns.
class Table {
 public:
  void column(std::string header, std::size_t width = kColumnWidth) {
    headers_.push_back(std::move(header));
    widths_.push_back(width);
    rule_ += std::string(width, '-') + "  ";
  }
  void line(const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      text_ += fmt::format("{:>{}}  ", cells[i], widths_[i]);
    text_ += '\n';
  }
  void rule() { text_ += rule_ + '\n'; }
  void headers() { line(headers_); }
  void add(std::string_view text) { text_ += text; }
  std::string text() && { return std::move(text_); }

 private:
  std::vector<std::string> headers_;
  std::vector<std::size_t> widths_;
  std::string rule_;
  std::string text_;
};

// What the rows have in common.
struct Totals {
  double cpu = 0;
  double device = 0;
  bool has_device_time = false;
  bool has_device_memory = false;
  std::size_t name_width = 0;
  std::size_t shapes_width = 0;  // 0 = no such column
};

Totals totals_of(const std::vector<KeyAverage>& averages) {
  Totals totals;
  bool has_shapes = false;
  for (const KeyAverage& average : averages) {
    totals.cpu += average.self_cpu_time_total;
    if (average.device_type != c10::DeviceType::CPU && !average.user_annotation)
      totals.device += average.self_device_time_total;
    totals.has_device_time |= average.self_device_time_total > 0;
    totals.has_device_memory |= average.self_device_memory_usage > 0;
    totals.name_width = std::max(totals.name_width, average.name.size() + 4);
    totals.shapes_width = std::max(totals.shapes_width, average.input_shapes.size() + 4);
    has_shapes |= average.input_shapes.size() > 2;
  }
  totals.name_width = std::min(totals.name_width, kNameWidth);
  totals.shapes_width = has_shapes ? std::min(totals.shapes_width, kShapesWidth) : 0;
  return totals;
}

Table columns(const KeyAveragesTable& layout, const Totals& totals, const FlopsUnit& flops) {
  Table table;
  table.column("Name", totals.name_width);
  for (const char* header : {"Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"})
    table.column(header);
  const bool has_device_memory = !layout.device.empty() && totals.has_device_memory;
  if (totals.has_device_time) {
    table.column("Self " + layout.device);
    table.column("Self " + layout.device + " %");
    table.column(layout.device + " total");
    table.column(layout.device + " time avg");
  }
  if (layout.profile_memory) {
    table.column("CPU Mem");
    table.column("Self CPU Mem");
    if (has_device_memory) {
      table.column(layout.device + " Mem");
      table.column("Self " + layout.device + " Mem");
    }
  }
  table.column("# of Calls");
  if (totals.shapes_width > 0) table.column("Input Shapes", totals.shapes_width);
  if (!flops.header.empty()) table.column(flops.header);
  return table;
}

std::vector<std::string> cells(const KeyAverage& average, const KeyAveragesTable& layout,
                               const Totals& totals, const FlopsUnit& flops) {
  const double count = static_cast<double>(average.count);
  std::string name = average.name;
  if (name.size() >= kNameWidth - 3) name = name.substr(0, kNameWidth - 3) + "...";
  std::vector<std::string> row = {
      std::move(name),
      share_text(average.self_cpu_time_total, totals.cpu),
      time_text(average.self_cpu_time_total),
      average.is_async ? "0" : share_text(average.cpu_time_total, totals.cpu),
      time_text(average.cpu_time_total),
      time_text(average.cpu_time_total / count)};
  if (totals.has_device_time) {
    row.push_back(time_text(average.self_device_time_total));
    row.push_back(share_text(average.self_device_time_total, totals.device));
    row.push_back(time_text(average.device_time_total));
    row.push_back(time_text(average.device_time_total / count));
  }
  if (layout.profile_memory) {
    row.push_back(memory_text(average.cpu_memory_usage));
    row.push_back(memory_text(average.self_cpu_memory_usage));
    if (!layout.device.empty() && totals.has_device_memory) {
      row.push_back(memory_text(average.device_memory_usage));
      row.push_back(memory_text(average.self_device_memory_usage));
    }
  }
  row.push_back(std::to_string(average.count));
  if (totals.shapes_width > 0) row.push_back(average.input_shapes.substr(0, totals.shapes_width));
  if (!flops.header.empty()) {
    row.push_back(average.flops == 0
                      ? "--"
                      : fmt::format("{:8.3f}", static_cast<double>(average.flops) * flops.scale));
  }
  return row;
}

}  // namespace

bool is_sort_key(std::string_view key) { return find_sort_key(key) != nullptr; }

std::string sort_keys() {
  std::string names;
  for (const SortKey& key : kSortKeys) names += (names.empty() ? "" : ", ") + std::string(key.name);
  return names;
}

std::string table_of(std::vector<KeyAverage> averages, const KeyAveragesTable& layout) {
  if (averages.empty()) return {};
  if (const SortKey* key = find_sort_key(layout.sort_by)) {
    std::stable_sort(
        averages.begin(), averages.end(),
        [key](const KeyAverage& a, const KeyAverage& b) { return key->value(a) > key->value(b); });
  }
  const Totals totals = totals_of(averages);
  const FlopsUnit flops = layout.with_flops ? flops_unit(averages) : FlopsUnit{};
  Table table = columns(layout, totals, flops);
  table.rule();
  table.headers();
  table.rule();
  std::int64_t shown = 0;
  for (const KeyAverage& average : averages) {
    if (shown++ == layout.row_limit) break;
    table.line(cells(average, layout, totals, flops));
  }
  table.rule();
  table.add("Self CPU time total: " + time_text(totals.cpu) + "\n");
  if (totals.has_device_time)
    table.add("Self " + layout.device + " time total: " + time_text(totals.device) + "\n");
  return std::move(table).text();
}

}  // namespace lctl
