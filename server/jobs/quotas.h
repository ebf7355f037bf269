// How many jobs a person or an experiment may have in the queue or running. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/status.h"
#include "server/jobs/job_record.h"

namespace lctl::jobs {

// 0 = no limit. A guard against accidents (a loop that submits for ever), not against people: who
// submits is what the client says.
struct Quotas {
  int unfinished_jobs_per_user = 0;
  int unfinished_jobs_per_experiment = 0;
};

// "ann" of "ann@host".
std::string_view user_of(std::string_view submitted_by);

// ResourceExhausted, with the limit, the use and what to do, when one more job would be too many.
// `records` are the jobs that have not ended.
absl::Status check_quotas(const Quotas& quotas, const std::map<JobId, JobRecord>& records,
                          std::string_view submitted_by, const std::string& experiment);

}  // namespace lctl::jobs
