#include "client/cli/work_line.h"

#include <fmt/format.h>

#include <utility>

#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {

WorkLine::WorkLine(const Session& session, bool json)
    : shown_(session.environment.err_look.terminal && !json),
      line_(session.err(), session.environment.clock) {}

client::WorkSink WorkLine::sink() {
  if (!shown_) return {};
  return [this](const v1::WorkProgress& now) {
    const std::string phase = printable(now.phase());
    if (now.total() > 0) {
      update(fmt::format("{}  {} of {}", phase, human_count(now.done()), human_count(now.total())));
    } else {
      update(now.done() > 0 ? fmt::format("{}  {}", phase, human_count(now.done())) : phase);
    }
  };
}

void WorkLine::update(std::string text) {
  if (shown_) line_.update(std::move(text));
}

}  // namespace lctl::cli
