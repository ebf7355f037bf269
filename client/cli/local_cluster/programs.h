// Where the other programs of lctl are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/terminal/look.h"

namespace lctl::cli {

// "server/lctl-server" and so on: the program's place in a build tree, next to client/. Its last
// part is the name.
inline constexpr char kServerProgram[] = "server/lctl-server";
inline constexpr char kWorkerProgram[] = "worker/agent/lctl-worker";
inline constexpr char kKeeperProgram[] = "worker/keeper/lctl-keeper";
inline constexpr char kTrainerProgram[] = "worker/trainer/lctl-trainer";

// Places to look at, best first: $LCTL_BIN_DIR alone when it is set; else the folder of this
// program, the build tree that it lies in, and the folders of $PATH.
std::vector<std::string> program_candidates(std::string_view place, const std::string& own_folder,
                                            const VariableLookup& variable);

// The first candidate that can be run; NotFound with all places that were looked at.
absl::StatusOr<std::string> find_program(std::string_view place, const VariableLookup& variable);

// Turns this process into that program (words[0], with its arguments). Returns only when it cannot.
absl::Status become(std::vector<std::string> words);

}  // namespace lctl::cli
