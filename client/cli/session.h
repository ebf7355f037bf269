// One run of `lctl`: the environment, the options that all commands share, and what the parsed
// command is going to do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/environment.h"
#include "client/cli/exit_code.h"
#include "client/library/client.h"

namespace lctl::cli {

// Thread rule: caller locks.
struct Session {
  Environment& environment;
  std::string server;                  // HOST:PORT, from --server, LCTL_SERVER or the default
  std::vector<std::string> overrides;  // "--trainer.max_epochs=3", taken out before parsing
  std::function<int()> action;         // set by the command that was given; returns the exit code

  std::ostream& out() const { return environment.out; }
  std::ostream& err() const { return environment.err; }
  const Look& look() const { return environment.out_look; }

  absl::StatusOr<client::Client> connect() const;

  // Prints "lctl: <message>" on stderr; returns the exit code that fits.
  int fail(const absl::Status& status) const;
  // The same for a wrong command line.
  int misuse(std::string_view message) const;
};

}  // namespace lctl::cli
