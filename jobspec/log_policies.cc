#include "jobspec/log_policies.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <utility>

#include "jobspec/checks.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/rules.h"

namespace lctl::jobspec {
namespace {

constexpr std::size_t kMaxPolicies = 32;
constexpr std::size_t kMaxPatternBytes = 1024;
constexpr std::string_view kExpectedMap =
    "expected `pattern: REGEX` and `action: exclude_node`, `cancel_retries` or `{label: NAME}`";

void read_pattern(const Value& pattern, const std::string& key, const ParseOptions& options,
                  v1::LogPolicy& out, Findings& findings) {
  const std::string& text = pattern.as_string();
  if (text.empty() || text.size() > kMaxPatternBytes) {
    findings.add(pattern.location(), key, fmt::format("the pattern has {} bytes", text.size()),
                 fmt::format("expected 1 to {}", kMaxPatternBytes));
    return;
  }
  if (options.pattern_problem) {
    if (const std::string problem = options.pattern_problem(text); !problem.empty()) {
      findings.add(
          pattern.location(), key,
          fmt::format("`{}` is no regular expression: {}", pattern.preview(), problem),
          "expected RE2's syntax; put a backslash before ( [ . * + ? that mean themselves");
      return;
    }
  }
  out.set_pattern(text);
}

void read_action(const Value& action, const std::string& key, v1::LogPolicy& out,
                 Findings& findings) {
  if (action.is_string()) {  // one of the two: the key table's rule
    out.set_action(action.as_string() == "exclude_node" ? v1::LogPolicy::ACTION_EXCLUDE_NODE
                                                        : v1::LogPolicy::ACTION_CANCEL_RETRIES);
    return;
  }
  const Value* label = action.find("label");
  for (const Value::Entry& entry : action.map()) {
    if (entry.key != "label") add_unknown_key(entry, join_key(key, entry.key), {"label"}, findings);
  }
  if (label == nullptr || !label->is_string() || !broken_rule("a name", *label).empty()) {
    findings.add(
        label == nullptr ? action.location() : label->location(), join_key(key, "label"),
        label == nullptr ? "is missing" : fmt::format("`{}` is not allowed", label->preview()),
        "expected 1 to 128 letters, digits, `.`, `_` or `-`");
    return;
  }
  out.set_action(v1::LogPolicy::ACTION_LABEL);
  out.set_label(label->as_string());
}

}  // namespace

void read_log_policies(const Value& given, const std::string& key, const ParseOptions& options,
                       google::protobuf::RepeatedPtrField<v1::LogPolicy>& out, Findings& findings) {
  if (!given.is_list()) return;  // has its finding
  if (given.list().size() > kMaxPolicies) {
    findings.add(given.location(), key, fmt::format("{} entries", given.list().size()),
                 fmt::format("expected at most {}", kMaxPolicies));
    return;
  }
  const keys::Class& table = keys::section("job.log_policies");
  for (std::size_t i = 0; i < given.list().size(); ++i) {
    const Value& entry = given.list()[i];
    const std::string path = join_key(key, i);
    if (!entry.is_map()) {
      findings.add(entry.location(), path,
                   fmt::format("expected a map, got {} `{}`", entry.kind_name(), entry.preview()),
                   std::string(kExpectedMap));
      continue;
    }
    if (!check_arguments(table, entry, path, entry.location(), options.check_available, findings))
      continue;
    v1::LogPolicy& policy = *out.Add();
    read_pattern(*entry.find("pattern"), join_key(path, "pattern"), options, policy, findings);
    read_action(*entry.find("action"), join_key(path, "action"), policy, findings);
  }
}

}  // namespace lctl::jobspec
