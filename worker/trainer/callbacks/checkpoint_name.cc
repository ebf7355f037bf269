// File names of checkpoints: Lightning's template rules.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// "{name" up to the next ':' or '}', in order of appearance.
std::vector<std::string> find_groups(std::string_view text) {
  std::vector<std::string> groups;
  for (std::size_t open = text.find('{'); open != std::string_view::npos;
       open = text.find('{', open)) {
    const std::size_t close = text.find_first_of(":}", open);
    if (close == std::string_view::npos) break;
    groups.emplace_back(text.substr(open, close - open));
    open = close + 1;
  }
  return groups;
}

std::string format_value(const MonitorCandidates& metrics, const std::string& name,
                         std::string_view spec) {
  for (const MonitorCandidate& metric : metrics) {
    if (metric.name != name) continue;
    if (metric.integer) return python_format(*metric.integer, spec);
    return python_format(metric.value.number(), spec);
  }
  return python_format(std::int64_t{0}, spec);
}

// str.format for the fields that the replacement below makes: {0[name]} and {0[name]:spec}.
std::string expand(const std::string& text, const MonitorCandidates& metrics) {
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.compare(at, 3, "{0[") != 0) {
      result += text[at++];
      continue;
    }
    const std::size_t name_end = text.find(']', at);
    const std::size_t close = name_end == std::string::npos ? name_end : text.find('}', name_end);
    if (close == std::string::npos)
      throw std::invalid_argument("expected '}' before end of string in the filename template");
    const std::string name = text.substr(at + 3, name_end - at - 3);
    const std::string_view rest = std::string_view(text).substr(name_end + 1, close - name_end - 1);
    result += format_value(metrics, name, rest.empty() ? rest : rest.substr(1));
    at = close + 1;
  }
  return result;
}

}  // namespace

std::vector<std::string> template_names(std::string_view filename) {
  std::vector<std::string> names;
  for (const std::string& group : find_groups(filename)) names.push_back(group.substr(1));
  return names;
}

std::string format_checkpoint_name(std::string_view filename, const MonitorCandidates& metrics,
                                   bool auto_insert_metric_name) {
  std::string text(filename.empty() ? "{epoch}-{step}" : filename);
  std::vector<std::string> groups = find_groups(text);
  // Longest first, so that {epoch does not eat into {epoch_test.
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const std::string& group : groups) {
    const std::string name = group.substr(1);
    if (auto_insert_metric_name) replace_all(text, group, name + "={" + name);
    replace_all(text, group, "{0[" + name + "]");
  }
  return expand(text, metrics);
}

}  // namespace lctl
