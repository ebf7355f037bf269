// Named loggers of the daemons. Each module asks once for its own: `auto& log =
// lctl::logger("ingest");` and uses spdlog's calls. The trainer's user-facing output does not come
// through here.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

namespace lctl {

// The logger of that name, made at the first call. All write to stderr through one sink:
// "2026-01-31T12:00:00.123Z I ingest message" (colours only on a terminal). Any thread.
spdlog::logger& logger(std::string_view name);

// Sets the level of all loggers, present and future: trace, debug, info, warning, error, off.
// Returns false for another word and changes nothing.
bool set_log_level(std::string_view level);

}  // namespace lctl
