// Why a rank ended, in one line for people.
#pragma once

#include <filesystem>
#include <string>

#include "worker/agent/run_folder.h"

namespace lctl::agent {

// The last line with something in it of a console file, as a printable line; "" when there is none.
std::string last_words(const std::filesystem::path& file);

// What to report about an exit: the lease that ran out, the signal, or the last line of stderr, or
// "" for success.
std::string describe_exit(const RankExit& exit, const std::filesystem::path& stderr_file);

}  // namespace lctl::agent
