// The pure parts; whole searches are compared with Lightning's in the conformance suite.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "worker/trainer/tuner/batch_size_finder.h"
#include "worker/trainer/tuner/learning_rate_finder.h"
#include "worker/trainer/tuner/lr_finder.h"

namespace lctl {
namespace {

// A loss that falls fastest between the rates 2^7 and 2^8.
LrFinder falling() {
  LrFinder found;
  for (int i = 0; i < 12; ++i) {
    found.lr.push_back(std::pow(2.0, i));
    found.loss.push_back(i < 8 ? 10 : 10 - 3 * (found.lr.back() - 128) / 128);
  }
  return found;
}

TEST(LrFinderTest, SuggestsWhereTheLossFallsFastest) {
  EXPECT_EQ(falling().suggestion(0, 1), 256.0);
  EXPECT_EQ(falling().suggestion(9, 1), 512.0) << "points before are left out";
}

TEST(LrFinderTest, PointsThatAreNotFiniteAreLeftOut) {
  LrFinder found = falling();
  found.loss[8] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(found.suggestion(0, 1), 512.0);
}

TEST(LrFinderTest, FewerThanTwoPointsGiveNone) {
  EXPECT_EQ(falling().suggestion(10, 1), std::nullopt);
  EXPECT_EQ(falling().suggestion(0, 0), std::nullopt) << "Python's list[0:-0] is empty";
  EXPECT_EQ(falling().suggestion(0, 100), std::nullopt);
  EXPECT_EQ(LrFinder().suggestion(), std::nullopt);
}

TEST(FindersTest, ImpossibleArgumentsAreRefused) {
  EXPECT_THROW(LearningRateFinder({.mode = "cubic"}), std::invalid_argument);
  EXPECT_THROW(BatchSizeFinder({.mode = "cubic"}), std::invalid_argument);
  EXPECT_THROW(BatchSizeFinder({.margin = 1.0}), std::invalid_argument);
}

TEST(FindersTest, OutOfMemoryIsKnownByItsWords) {
  EXPECT_TRUE(is_out_of_memory("CUDA out of memory. Tried to allocate 20.00 GiB"));
  EXPECT_TRUE(is_out_of_memory("DefaultCPUAllocator: can't allocate memory: you tried"));
  EXPECT_TRUE(is_out_of_memory("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may"));
  EXPECT_FALSE(is_out_of_memory("mat1 and mat2 shapes cannot be multiplied"));
}

}  // namespace
}  // namespace lctl
