#include "worker/trainer/program/exit_code.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include "worker/pulse/pulse.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/run_control.h"

namespace lctl {
namespace {

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

std::string joined_lines(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

// A backend says which socket broke or timed out, not in what: the collective is named beside it.
std::string with_collective(std::string text) {
  const auto says = [&](const char* word) { return text.find(word) != std::string::npos; };
  if (!says("gloo") && !says("NCCL")) return text;
  const std::string collective = pulse::open_collective();
  return collective.empty() ? text : "in " + collective + ": " + text;
}

}  // namespace

Ending ending_of_current_exception(bool orchestrated) {
  try {
    throw;
  } catch (const StopRequested& stop) {
    return {ExitCode::kStopped, stop.what()};
  } catch (const KeyboardInterrupt&) {
    return {ExitCode::kFailed, ""};  // the handler has said it
  } catch (const SigtermException& stop) {
    return {orchestrated ? ExitCode::kStopped : ExitCode::kTerminated, stop.what()};
  } catch (const RollBackRequest& request) {
    if (orchestrated) return {ExitCode::kRollBack, joined_lines(request.what()), request};
    return {ExitCode::kFailed,
            joined_lines(request.what()) + " (only a job of an lctl server is rolled back)"};
  } catch (const UnreadableCheckpoint& error) {
    return {ExitCode::kUnreadableCheckpoint, joined_lines(error.what())};
  } catch (const BadConfiguration& error) {
    return {ExitCode::kBadConfiguration, error.what()};
  } catch (const MisconfigurationException& error) {
    return {ExitCode::kBadConfiguration, joined_lines(error.what())};
  } catch (const c10::Error& error) {
    return {ExitCode::kFailed, with_collective(first_line(error.what_without_backtrace()))};
  } catch (const std::bad_alloc&) {
    return {ExitCode::kFailed, "out of memory"};
  } catch (const std::exception& error) {
    return {ExitCode::kFailed, with_collective(joined_lines(error.what()))};
  }
}

void print_ending(const Ending& ending, const std::string& program) {
  if (ending.code == ExitCode::kSucceeded) return;
  if (ending.code == ExitCode::kStopped) {
    console::info(ending.message);
  } else if (!ending.message.empty()) {
    const std::string line = program + ": error: " + ending.message + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
}

}  // namespace lctl
