// What is wrong with a job file, on the screen.
#pragma once

#include "absl/status/status.h"
#include "client/cli/session.h"

namespace lctl::cli {

// Prints every finding ("file:line: key: problem") with the place, the key and the suggestion set
// off by colour; returns the exit code.
int report_findings(const Session& session, const absl::Status& status);

// One finding with colours; plain without them.
std::string paint_finding(std::string_view line, const Look& look);

}  // namespace lctl::cli
