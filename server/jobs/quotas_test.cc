#include "server/jobs/quotas.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::jobs {
namespace {

using testing::HasSubstr;

class QuotasTest : public testing::Test {
 protected:
  void add(const char* id, const char* submitted_by, const char* experiment,
           v1::JobState state = v1::JOB_STATE_QUEUED) {
    auto spec = std::make_shared<v1::JobSpec>();
    spec->set_experiment(experiment);
    JobRecord record;
    record.spec = spec;
    record.job.set_id(id);
    record.job.set_submitted_by(submitted_by);
    record.job.set_state(state);
    records_.emplace(JobId(id), std::move(record));
  }

  std::map<JobId, JobRecord> records_;
};

TEST_F(QuotasTest, WithoutLimitsNothingIsRefused) {
  add("a", "ann@x", "e");
  EXPECT_TRUE(check_quotas({}, records_, "ann@x", "e").ok());
}

TEST_F(QuotasTest, JobsOfAUserCountFromAllHosts) {
  add("a", "ann@x", "e");
  add("b", "ann@y", "f", v1::JOB_STATE_RUNNING);
  add("c", "bob@x", "e");
  add("d", "ann@x", "e", v1::JOB_STATE_FAILED);
  const Quotas quotas{.unfinished_jobs_per_user = 2};
  const absl::Status refused = check_quotas(quotas, records_, "ann@z", "e");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(
      std::string(message_of(refused)),
      "user 'ann': 2 of at most 2 unfinished jobs are there already: wait until one ends, stop "
      "one (`lctl stop`), or ask whoever runs the server to raise --max-jobs-per-user");
  EXPECT_TRUE(check_quotas(quotas, records_, "bob@x", "e").ok());
}

TEST_F(QuotasTest, JobsOfAnExperimentCountWhoeverSubmittedThem) {
  add("a", "ann@x", "e");
  add("b", "bob@x", "e");
  const Quotas quotas{.unfinished_jobs_per_experiment = 2};
  EXPECT_THAT(check_quotas(quotas, records_, "eve@x", "e").ToString(),
              HasSubstr("experiment 'e': 2 of at most 2"));
  EXPECT_TRUE(check_quotas(quotas, records_, "eve@x", "f").ok());
}

}  // namespace
}  // namespace lctl::jobs
