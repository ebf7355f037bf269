#include "worker/trainer/data/webdataset/shuffle_buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "worker/trainer/data/webdataset/bounded_queue.h"

namespace lctl::webdataset {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

// The same numbers as the recording's random.randint().
class Lcg {
 public:
  std::size_t operator()(std::size_t bound) {
    state_ = (state_ * 1103515245 + 12345) % (1ULL << 31U);
    return static_cast<std::size_t>((state_ >> 8U) % bound);
  }

 private:
  std::uint64_t state_ = 1;
};

std::vector<int> shuffled(int count, std::size_t capacity, std::size_t initial) {
  ShuffleBuffer<int> buffer(capacity, initial);
  int given = 0;
  const auto source = [&]() -> std::optional<int> {
    if (given == count) return std::nullopt;
    return given++;
  };
  Lcg random;
  std::vector<int> order;
  while (const auto item = buffer.next(source, random)) order.push_back(*item);
  return order;
}

// Recorded from webdataset 1.0.2: list(_shuffle(iter(range(n)), bufsize, initial, rng)).
TEST(ShuffleBufferTest, ShufflesStepForStepAsWebdatasetDoes) {
  EXPECT_THAT(shuffled(20, 5, 100),
              ElementsAre(4, 5, 1, 0, 8, 3, 2, 9, 7, 13, 14, 6, 11, 12, 18, 16, 15, 10, 17, 19));
  EXPECT_THAT(shuffled(20, 8, 3),
              ElementsAre(2, 5, 0, 8, 11, 6, 10, 13, 12, 9, 3, 15, 17, 16, 14, 4, 1, 19, 7, 18));
  EXPECT_THAT(shuffled(7, 100, 100), ElementsAre(5, 0, 1, 3, 2, 6, 4));
  EXPECT_THAT(shuffled(0, 4, 2), IsEmpty());
  EXPECT_THAT(shuffled(9, 1, 1), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(shuffled(30, 10, 10),
              ElementsAre(4, 9, 6, 5, 13, 8, 2, 14, 0, 18, 10, 11, 16, 17, 23, 3, 12, 26, 20, 1, 27,
                          28, 7, 19, 25, 24, 15, 21, 22, 29));
  EXPECT_THAT(shuffled(3, 0, 100), ElementsAre(0, 1, 2));
}

TEST(ShuffleBufferTest, AnErrorOfTheSourceLosesNothingAndTheNextRoundBeginsAnew) {
  ShuffleBuffer<int> buffer(4, 4);
  int given = 0;
  const auto source = [&]() -> std::optional<int> {
    ++given;
    if (given == 2 || given == 6) throw std::runtime_error("damaged");
    if (given == 9 || given == 12) return std::nullopt;
    return given;
  };
  Lcg random;
  std::vector<int> order;
  int errors = 0;
  for (int rounds = 0; rounds < 2;) {
    try {
      const auto item = buffer.next(source, random);
      if (item.has_value()) order.push_back(*item);
      rounds += item.has_value() ? 0 : 1;
    } catch (const std::runtime_error&) {
      ++errors;
    }
  }
  EXPECT_EQ(errors, 2);
  EXPECT_THAT(order, testing::UnorderedElementsAre(1, 3, 4, 5, 7, 8, 10, 11));
  EXPECT_EQ(order.size(), 8U);
}

TEST(BoundedQueueTest, HandsItemsOverInOrderAndEndsWhenClosed) {
  BoundedQueue<int> queue(3);
  std::thread producer([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(queue.push(i));
    queue.close();
  });
  std::vector<int> all;
  std::vector<int> some;
  while (queue.take_all(some)) {
    EXPECT_LE(some.size(), 3U);
    all.insert(all.end(), some.begin(), some.end());
    some.clear();
  }
  producer.join();
  ASSERT_EQ(all.size(), 1000U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(all[static_cast<std::size_t>(i)], i);
}

TEST(BoundedQueueTest, StoppingLetsAWaitingProducerGo) {
  BoundedQueue<int> queue(1);
  std::thread producer([&] {
    int pushed = 0;
    while (queue.push(1)) ++pushed;
    EXPECT_LE(pushed, 1);
  });
  queue.stop();
  producer.join();
  std::vector<int> some;
  EXPECT_FALSE(queue.take_all(some));
}

}  // namespace
}  // namespace lctl::webdataset
