// Exit codes of `lctl`. Scripts build on them: docs/cli.md lists them, and they never change.
#pragma once

#include "absl/status/status.h"

namespace lctl::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;         // the followed job failed, or the request did
inline constexpr int kExitUsage = 2;          // wrong command line or job file: nothing was sent
inline constexpr int kExitUnreachable = 3;    // no answer from the server
inline constexpr int kExitStopped = 4;        // the followed job was stopped
inline constexpr int kExitInterrupted = 130;  // Ctrl-C: a followed job goes on

// Of a command that ends with this error.
int exit_code_of(const absl::Status& status);

}  // namespace lctl::cli
