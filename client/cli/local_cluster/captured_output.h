// A program's standard output as text.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace lctl::cli {

struct CapturedOutput {
  int exit_code = 0;  // 128 + number for a signal
  std::string text;
};

// Runs `command` (found in PATH when it has no '/') to its end, with no input and, unless
// `show_errors`, its standard error thrown away. Reads at most `limit` bytes and lets the rest go.
// NotFound when there is no such program. Any thread.
absl::StatusOr<CapturedOutput> captured_output(std::vector<std::string> command, bool show_errors,
                                               std::size_t limit);

}  // namespace lctl::cli
