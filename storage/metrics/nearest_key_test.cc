#include "storage/metrics/nearest_key.h"

#include "gtest/gtest.h"

namespace lctl::storage {
namespace {

TEST(NearestKeyTest, SmallMistakesFindTheirKey) {
  const std::vector<std::string> keys = {"train/loss", "val/loss", "val/acc", "lr-Adam"};
  EXPECT_EQ(nearest_key("val/los", keys), "val/loss");
  EXPECT_EQ(nearest_key("train_loss", keys), "train/loss");
  EXPECT_EQ(nearest_key("val/accc", keys), "val/acc");
}

TEST(NearestKeyTest, NothingNearMeansNoSuggestion) {
  EXPECT_EQ(nearest_key("gradient_norm", {"lr", "acc"}), "");
  EXPECT_EQ(nearest_key("loss", {}), "");
  EXPECT_EQ(nearest_key("", {"lr"}), "");
}

}  // namespace
}  // namespace lctl::storage
