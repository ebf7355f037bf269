#include "storage/blobs/checkpoint_quotas.h"

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

class CheckpointQuotasTest : public StoreTest {
 protected:
  CheckpointQuotasTest() {
    job_ = add_job(store(), "aaaaaaaaaa");
    start_attempt(store(), job_, 1);
  }
  void limit(CheckpointQuotas quotas) {
    store_.reset();
    store_ = *Store::open({.dir = dir(), .clock = clock_, .checkpoint_quotas = quotas});
  }
  absl::Status save(const JobId& job, const std::string& name, const std::string& content) {
    return upload(store(), {{job, 1}, ++step_, v1::CHECKPOINT_KIND_MODEL, name, content}).status();
  }

  JobId job_;
  std::int64_t step_ = 0;
};

TEST_F(CheckpointQuotasTest, OneMoreIsRefusedInWordsAndLeavesNoRow) {
  limit({.per_experiment_bytes = 12});
  ASSERT_EQ(text_of(save(job_, "a.ckpt", "aaaabbbb")), "OK");
  const absl::Status refused = save(job_, "b.ckpt", "ccccdddd");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(text_of(refused), HasSubstr("experiment 'default' would take 16 bytes of the store, "
                                          "and may take 12"));
  EXPECT_EQ(store().checkpoints().list(job_)->size(), 1u);
  EXPECT_EQ(text_of(save(job_, "c.ckpt", "aaaabbbb")), "OK") << "it stores nothing new";
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

TEST_F(CheckpointQuotasTest, OneThatTakesThePlaceOfAnotherFits) {
  limit({.per_experiment_bytes = 8});
  ASSERT_EQ(text_of(save(job_, "last.ckpt", "aaaabbbb")), "OK");
  EXPECT_EQ(text_of(save(job_, "last.ckpt", "ccccdddd")), "OK");
}

TEST_F(CheckpointQuotasTest, RefusedOneIsTakenOnceThereIsRoom) {
  limit({.per_user_bytes = 8});
  const JobId other = add_job(store(), "bbbbbbbbbb");
  start_attempt(store(), other, 1);
  ASSERT_EQ(text_of(save(job_, "a.ckpt", "aaaabbbb")), "OK");
  const absl::Status refused = save(other, "b.ckpt", "cccc");
  EXPECT_THAT(text_of(refused), HasSubstr("user 'me' would take 12 bytes"));
  v1::Job done = *store().jobs().get(job_);
  done.set_state(v1::JOB_STATE_SUCCEEDED);
  const JobChange change{.job = done};
  ASSERT_TRUE(store().jobs().record({&change, 1}).ok());
  ASSERT_TRUE(store().jobs().remove(job_).ok());
  EXPECT_EQ(text_of(save(other, "b.ckpt", "cccc")), "OK");
}

}  // namespace
}  // namespace lctl::storage
