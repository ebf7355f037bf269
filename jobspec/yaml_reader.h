// YAML text to a Value. The text comes from outside: everything about it is bounded, and what YAML
// allows but a job file has no use for is refused with a word on what to write instead.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

struct ReadLimits {
  std::size_t bytes = std::size_t{1} << 20;  // of the text; texts after aliases: four times that
  int depth = 64;                            // lists and maps in each other
  std::size_t nodes = 100'000;               // after aliases
  std::size_t key_bytes = 256;               // of one key
};

// Reads one document. Scalars follow scalar.h; anchors, aliases and merge keys (`<<`) are expanded;
// a map with the same key twice, tags and several documents are findings. Empty = there are
// findings. `source` names the text in locations; `has_lines` is false for text that is no file (an
// override).
std::optional<Value> read_yaml(std::string_view text, std::shared_ptr<const std::string> source,
                               bool has_lines, Findings& findings, const ReadLimits& limits = {});

}  // namespace lctl::jobspec
