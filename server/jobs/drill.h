// Faults that people inject on purpose (`lctl drill`), and what is excused because of them. Pure;
// part of the state machine.
//
// An attempt that is drilled says so in its reason, which is durable: "drill: kill-rank of rank 0".
// What ends it within the drill's time keeps the prefix, and counts neither as a restart nor as
// part of a crash loop, nor against its node.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "server/jobs/job_record.h"
#include "server/jobs/launcher.h"
#include "server/jobs/verdict.h"

namespace lctl::jobs {

// How long behind a fault's own time an end still counts as its effect.
inline constexpr Duration kDrillAftermath = std::chrono::seconds(60);

// "kill-rank", "hang", …: as the command line spells it.
std::string_view name_of(Fault fault);

// Why a drill cannot be granted; OK when it can. `checkpoints`: how many the job could go on from
// (2 stands for more). `force` accepts that it may cost work.
absl::Status drill_refusal(const JobRecord& record, Fault fault, int rank, int checkpoints,
                           bool force, MonotonicTime now);

bool is_drilled(const v1::Attempt& attempt);

// The reason with the prefix, and without guesses at a cause that is known.
std::string drilled(std::string reason);

// Takes back what the end of a drilled attempt would cost the job.
void excuse(const JobRecord& record, Conclusion& end);

}  // namespace lctl::jobs
