#include "jobspec/edit_distance.h"

#include <gtest/gtest.h>

#include <string>

namespace lctl::jobspec {
namespace {

TEST(EditDistanceTest, CountsChangesAndSwapsAsOne) {
  EXPECT_EQ(edit_distance("lr", "lr"), 0U);
  EXPECT_EQ(edit_distance("batch_sise", "batch_size"), 1U);
  EXPECT_EQ(edit_distance("max_epoch", "max_epochs"), 1U);
  EXPECT_EQ(edit_distance("laod", "load"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
}

TEST(EditDistanceTest, NearestNameIsNearEnoughOrNone) {
  const std::vector<std::string_view> names = {"max_epochs", "max_steps", "min_epochs", "lr"};
  EXPECT_EQ(nearest_name("max_epoch", names), "max_epochs");
  EXPECT_EQ(nearest_name("MAX_EPOCHS", names), "max_epochs");
  EXPECT_EQ(nearest_name("l", names), "lr");
  EXPECT_EQ(nearest_name("callbacks", names), "");
  EXPECT_EQ(nearest_name("anything", {}), "");
}

TEST(EditDistanceTest, LongTextsCostNoQuadraticTime) {
  const std::string long_text(100'000, 'a');
  EXPECT_EQ(edit_distance(long_text, "b"), long_text.size() + 1);
}

}  // namespace
}  // namespace lctl::jobspec
