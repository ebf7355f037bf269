#include "server/jobs/quotas.h"

#include <fmt/format.h>

namespace lctl::jobs {

std::string_view user_of(std::string_view submitted_by) {
  return submitted_by.substr(0, submitted_by.find('@'));
}

absl::Status check_quotas(const Quotas& quotas, const std::map<JobId, JobRecord>& records,
                          std::string_view submitted_by, const std::string& experiment) {
  const std::string_view user = user_of(submitted_by);
  int of_user = 0;
  int of_experiment = 0;
  for (const auto& [id, record] : records) {
    if (is_final(record.job.state())) continue;
    if (user_of(record.job.submitted_by()) == user) ++of_user;
    if (record.spec->experiment() == experiment) ++of_experiment;
  }
  const auto check = [](int limit, int use, std::string_view who, const char* option) {
    if (limit == 0 || use < limit) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        fmt::format("{}: {} of at most {} unfinished jobs are there already: wait until one ends, "
                    "stop one (`lctl stop`), or ask whoever runs the server to raise {}",
                    who, use, limit, option));
  };
  LCTL_RETURN_IF_ERROR(check(quotas.unfinished_jobs_per_user, of_user,
                             fmt::format("user '{}'", user), "--max-jobs-per-user"));
  return check(quotas.unfinished_jobs_per_experiment, of_experiment,
               fmt::format("experiment '{}'", experiment), "--max-jobs-per-experiment");
}

}  // namespace lctl::jobs
