// A job that makes up new metric keys without end.
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

class KeyLimitTest : public StoreTest {
 protected:
  KeyLimitTest() {
    store_.reset();
    store_ = *Store::open({.dir = dir(), .clock = clock_, .max_metric_keys = 2});
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
  }
  Applied log(std::string_view key) {
    const std::uint64_t from = kRecordBytes * next_++;
    const auto applied =
        store().events().apply({{job_, 1}, 0, StreamKind::kEvents}, from, from + kRecordBytes,
                               {metric_record(from, 1, 5, key)});
    EXPECT_EQ(text_of(applied.status()), "OK");
    return applied.value_or(Applied());
  }

  JobId job_;
  std::uint64_t next_ = 0;
};

TEST_F(KeyLimitTest, KeysBeyondItAreLeftOutAndAllElseGoesOn) {
  EXPECT_EQ(log("a").left_out, "");
  EXPECT_EQ(log("b").left_out, "");
  const Applied refused = log("c");
  EXPECT_EQ(refused.result, Applied::Result::kOk);
  EXPECT_EQ(refused.committed_offset, 3 * kRecordBytes) << "it is not sent again";
  EXPECT_THAT(refused.left_out, HasSubstr("has 2 metric keys, and may have no more"));
  EXPECT_THAT(refused.left_out, HasSubstr("'c'"));
  EXPECT_EQ(log("a").left_out, "");
  EXPECT_EQ(steps_of(store(), job_, "a").size(), 2u);
  EXPECT_EQ(store().metrics().summaries(job_)->size(), 2u);
}

TEST_F(KeyLimitTest, EachJobHasItsOwn) {
  log("a");
  log("b");
  const JobId other = add_job(store(), "bbbbbbbbbb");
  start_attempt(store(), other, 1);
  job_ = other;
  next_ = 0;
  EXPECT_EQ(log("c").left_out, "");
}

}  // namespace
}  // namespace lctl::storage
