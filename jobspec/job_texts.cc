#include "jobspec/job_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>

namespace lctl::jobspec {
namespace {

constexpr std::size_t kMaxVariables = 256;
constexpr std::size_t kMaxVariableBytes = 32768;
constexpr std::size_t kMaxTags = 64;
constexpr std::size_t kMaxTagBytes = 256;

// docs/formats/launch.md
constexpr std::array<std::string_view, 7> kReserved = {
    "RANK",       "LOCAL_RANK",  "WORLD_SIZE", "LOCAL_WORLD_SIZE",
    "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"};

bool is_reserved(std::string_view name) {
  return name.starts_with("LCTL_") ||
         std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](unsigned char c) { return c < 0x80 && (std::isalpha(c) || c == '_'); };
  return !name.empty() && is_letter(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [&is_letter](char c) {
           return is_letter(static_cast<unsigned char>(c)) || (c >= '0' && c <= '9');
         });
}

// The text of one value, or a finding.
std::optional<std::string> text_of(const Value& value, const std::string& key,
                                   std::size_t max_bytes, Findings& findings) {
  if (value.is_int() && !value.is_respelled()) return std::to_string(value.as_int());
  if (value.is_int()) {
    findings.add(
        value.location(), key,
        fmt::format("YAML reads it as the number {}, which is written otherwise", value.as_int()),
        "put quotes around it");
    return std::nullopt;
  }
  if (!value.is_string()) {
    const bool quotable = value.is_bool() || value.is_float();
    findings.add(
        value.location(), key,
        fmt::format("expected str or int, got {} `{}`", value.kind_name(), value.preview()),
        quotable ? "put quotes around it" : "");
    return std::nullopt;
  }
  if (value.as_string().size() > max_bytes) {
    findings.add(value.location(), key,
                 fmt::format("the text has {} bytes", value.as_string().size()),
                 fmt::format("expected at most {}", max_bytes));
    return std::nullopt;
  }
  return value.as_string();
}

bool check_count(const Value& given, const std::string& key, std::size_t limit,
                 Findings& findings) {
  if (!given.is_map()) return false;
  if (given.map().size() <= limit) return true;
  findings.add(given.location(), key, fmt::format("{} entries", given.map().size()),
               fmt::format("expected at most {}", limit));
  return false;
}

}  // namespace

void read_environment(const Value& given, const std::string& key, Texts& out, Findings& findings) {
  if (!check_count(given, key, kMaxVariables, findings)) return;
  for (const Value::Entry& entry : given.map()) {
    const std::string path = join_key(key, entry.key);
    if (!is_variable_name(entry.key)) {
      findings.add(entry.key_location, path, "is no name of an environment variable",
                   "expected letters, digits and _, not starting with a digit");
    } else if (is_reserved(entry.key)) {
      findings.add(entry.key_location, path, "lctl sets this variable itself for every rank",
                   "remove it");
    } else if (auto text = text_of(entry.value, path, kMaxVariableBytes, findings)) {
      out[entry.key] = *text;
    }
  }
}

void read_tags(const Value& given, const std::string& key, Texts& out, Findings& findings) {
  if (!check_count(given, key, kMaxTags, findings)) return;
  for (const Value::Entry& entry : given.map()) {
    if (auto text = text_of(entry.value, join_key(key, entry.key), kMaxTagBytes, findings)) {
      out[entry.key] = *text;
    }
  }
}

}  // namespace lctl::jobspec
