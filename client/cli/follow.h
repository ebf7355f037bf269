// Following a job until it ends: a live progress line on a terminal, plain lines elsewhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/cli/session.h"
#include "client/cli/terminal/progress_line.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::cli {

// What the user sees of a followed job. Thread rule: caller locks.
class FollowView {
 public:
  // Between two lines of progress when the output is no terminal.
  static constexpr Duration kPlainInterval = std::chrono::seconds(5);

  explicit FollowView(const Environment& environment);

  void changed(const v1::Job& job);
  void lost(std::string_view why);
  void reconnected();
  // The end: what became of the job, and what to do next.
  void finished(const v1::Job& job);
  // Removes the live line.
  void clear() { live_.clear(); }

 private:
  void announce(const v1::Job& job);
  void show_progress(const v1::Job& job);

  const Environment& environment_;
  LiveLine live_;
  v1::JobState state_ = v1::JOB_STATE_UNSPECIFIED;
  std::string reason_;
  int attempt_ = 0;
  std::int64_t epoch_ = -1;
  std::optional<MonotonicTime> told_;
};

// Follows the job to its end and returns the exit code that tells it. With `json` each change is
// one line of JSON. Ctrl-C ends the following, not the job.
int follow_job(const Session& session, client::Client& client, const v1::Job& job, bool json);

}  // namespace lctl::cli
