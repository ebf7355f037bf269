// How a process of a run ends.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "worker/trainer/core/last_words.h"

namespace lctl {

// Exit codes of docs/formats/launch.md.
enum class ExitCode : int {
  kSucceeded = 0,
  kFailed = 1,
  kBadConfiguration = 2,
  kUnreadableCheckpoint = 74,
  kStopped = 75,
  kRollBack = 76,
  kTerminated = 143
};

struct Ending {
  ExitCode code = ExitCode::kSucceeded;
  std::string message;                            // one line; "" = nothing to say
  std::optional<RollBackRequest> roll_back = {};  // with kRollBack
};

// The configuration itself is at fault: whatever the data, it cannot work.
class BadConfiguration : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The one place where an exception becomes an exit code and a sentence. Call it from a catch block.
Ending ending_of_current_exception(bool orchestrated);

// Says on stderr how the run ended; nothing for a success. `program` is its name ("lctl-trainer").
void print_ending(const Ending& ending, const std::string& program);

}  // namespace lctl
