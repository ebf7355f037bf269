// What may stand at the cursor: the knowledge behind shell completion.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/cli/session.h"

namespace lctl::cli {

struct Candidate {
  std::string word;
  std::string about;
};

struct Candidates {
  std::vector<Candidate> words;  // all begin with what has been typed
  bool files = false;            // file names fit too
};

// `words` are those behind the program's name; the last one is being typed ("" = a new one). Asks
// the server for jobs, keys and so on, and gives up silently when it does not answer at once.
Candidates complete(const CLI::App& program, const Session& session,
                    const std::vector<std::string>& words);

}  // namespace lctl::cli
