#include "client/cli/session.h"

#include <algorithm>

#include "base/status.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {

int exit_code_of(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kUnavailable:
      return kExitUnreachable;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:
      return kExitFailed;
  }
}

absl::StatusOr<client::Client> Session::connect() const {
  return client::Client::connect(server, environment.client_options);
}

int Session::fail(const absl::Status& status) const {
  // Several lines stay several lines (the findings of a job file); nothing else may control the
  // terminal.
  std::string_view rest = message_of(status);
  std::string text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    text += printable(rest.substr(0, end)) + '\n';
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  err() << environment.err_look.paint(Tone::kBad, "lctl:") << ' ' << text << std::flush;
  return exit_code_of(status);
}

int Session::misuse(std::string_view message) const {
  return fail(absl::InvalidArgumentError(std::string(message)));
}

}  // namespace lctl::cli
