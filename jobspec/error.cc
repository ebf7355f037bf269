#include "jobspec/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobspec/characters.h"

namespace lctl::jobspec {

std::string SpecError::text() const {
  std::string out = file;
  if (line > 0) out += fmt::format(":{}", line);
  if (!out.empty()) out += ": ";
  if (!key.empty()) out += key + ": ";
  out += problem;
  if (!suggestion.empty()) out += fmt::format("; did you mean `{}`?", suggestion);
  if (!expected.empty()) out += (suggestion.empty() ? "; " : " ") + expected;
  // One line each, whatever the file has in its keys.
  std::replace_if(out.begin(), out.end(), is_control, ' ');
  return out;
}

void Findings::add(SpecError error) {
  if (std::find(errors_.begin(), errors_.end(), error) != errors_.end()) return;
  if (errors_.size() >= kLimit) {
    ++dropped_;
    return;
  }
  errors_.push_back(std::move(error));
}

void Findings::add(const Location& where, std::string_view key, std::string problem,
                   std::string expected, std::string suggestion) {
  add({.file = where.source == nullptr ? std::string() : *where.source,
       .line = where.line,
       .column = where.column,
       .key = std::string(key),
       .problem = std::move(problem),
       .expected = std::move(expected),
       .suggestion = std::move(suggestion)});
}

absl::Status Findings::status() const {
  if (errors_.empty()) return absl::OkStatus();
  std::vector<const SpecError*> sorted;
  for (const SpecError& error : errors_) sorted.push_back(&error);
  std::stable_sort(sorted.begin(), sorted.end(), [](const SpecError* a, const SpecError* b) {
    return std::pair(a->line, a->column) < std::pair(b->line, b->column);
  });
  std::string text;
  for (const SpecError* error : sorted) text += (text.empty() ? "" : "\n") + error->text();
  if (dropped_ > 0) text += fmt::format("\nand {} more", dropped_);
  return absl::InvalidArgumentError(text);
}

std::string join_key(std::string_view parent, std::string_view name) {
  return parent.empty() ? std::string(name) : fmt::format("{}.{}", parent, name);
}

std::string join_key(std::string_view parent, std::size_t index) {
  return join_key(parent, std::to_string(index));
}

}  // namespace lctl::jobspec
