// The line that shows how far the server has come with a long piece of work.
#pragma once

#include "client/cli/session.h"
#include "client/cli/terminal/progress_line.h"

namespace lctl::cli {

// Draws on stderr where that is a terminal; else, and with --json, shows nothing.
// Thread rule: caller locks.
class WorkLine {
 public:
  WorkLine(const Session& session, bool json);

  // For the client's calls; it must outlive them. Empty when nothing is shown.
  client::WorkSink sink();
  void update(std::string text);
  void clear() { line_.clear(); }

 private:
  const bool shown_;
  LiveLine line_;
};

}  // namespace lctl::cli
