// What is wrong with a job file, on the screen.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "client/cli/session.h"

namespace lctl::cli {

// Prints every finding ("file:line: key: problem") with the place, the key and the suggestion set
// off by colour, then what was not done because of them ("nothing was submitted"); returns the exit
// code.
int report_findings(const Session& session, const absl::Status& status,
                    std::string_view consequence);

// One finding with colours; plain without them. The list of all known names is left out where there
// is a suggestion.
std::string paint_finding(std::string_view line, const Look& look);

}  // namespace lctl::cli
