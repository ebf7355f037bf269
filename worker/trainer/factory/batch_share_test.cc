#include "worker/trainer/factory/batch_share.h"

#include "gtest/gtest.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

v1::JobSpec job(std::initializer_list<int> node_counts, int devices) {
  v1::JobSpec spec;
  spec.mutable_resources()->set_devices_per_node(devices);
  spec.mutable_elastic()->set_max_nodes(*node_counts.begin());
  for (const int nodes : node_counts) spec.mutable_elastic()->add_node_counts(nodes);
  return spec;
}

TEST(BatchShareTest, AllRanksTogetherAlwaysTakeTheSame) {
  for (const int nodes : {6, 3, 2, 1}) {
    const BatchShare share = batch_share(job({6, 3, 2, 1}, 2), nodes * 2);
    EXPECT_EQ(share.of(10) * nodes * 2, 10 * 12) << nodes;
    EXPECT_EQ(share.pad_to, 12) << nodes;
  }
}

TEST(BatchShareTest, EpochIsFilledUpForEveryPossibleNumberOfRanks) {
  // A batch of 3 on 4 nodes is one of 4 on 3.
  const BatchShare share = batch_share(job({4, 3, 2}, 1), 3);
  EXPECT_EQ(share.of(3), 4);
  EXPECT_EQ(share.pad_to, 12);
}

TEST(BatchShareTest, OtherJobsTakeWhatTheySay) {
  const BatchShare share = batch_share(v1::JobSpec(), 5);
  EXPECT_EQ(share.of(7), 7);
  EXPECT_EQ(share.pad_to, 0);
}

TEST(BatchShareTest, NumberOfRanksThatIsNotPossibleIsRefused) {
  EXPECT_THROW(batch_share(job({4, 2}, 1), 3), MisconfigurationException);
}

}  // namespace
}  // namespace lctl
