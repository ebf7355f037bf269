#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <functional>
#include <thread>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/strategies/boundary_agreement.h"
#include "worker/trainer/strategies/strategy.h"

namespace lctl {
namespace {

// A socket that listens on a port of the kernel's choice.
struct Listener {
  Listener() {
    fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    listen(fd, 16);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  int fd;
  int port;
};

// Runs `body` on two ranks, each a thread with a strategy of its own.
void on_two_ranks(const std::function<void(Strategy& strategy, int rank)>& body) {
  setenv("WORLD_SIZE", "2", 1);
  setenv("LOCAL_WORLD_SIZE", "2", 1);
  Listener listener;
  const auto run = [&](int rank) {
    const auto accelerator = make_cpu_accelerator();
    RankLayout layout;
    layout.global_rank = layout.local_rank = rank;
    layout.world_size = layout.local_world_size = 2;
    Rendezvous rendezvous{"127.0.0.1", listener.port, rank == 0 ? listener.fd : -1};
    DdpOptions options;
    options.timeout_ms = 60'000;
    const auto strategy = make_ddp_strategy(*accelerator, c10::Device(c10::DeviceType::CPU), layout,
                                            rendezvous, options);
    strategy->setup_environment();
    body(*strategy, rank);
    strategy->barrier();
  };
  std::thread other(run, 1);
  run(0);
  other.join();
}

TEST(DdpStrategyTest, CollectivesReduceAndBroadcast) {
  on_two_ranks([](Strategy& strategy, int rank) {
    const auto value = [rank] { return at::full({}, rank + 1.0); };
    EXPECT_EQ(strategy.reduce(value(), Reduction::kSum).item().toDouble(), 3.0);
    EXPECT_EQ(strategy.reduce(value(), Reduction::kMean).item().toDouble(), 1.5);
    EXPECT_EQ(strategy.reduce(value(), Reduction::kMax).item().toDouble(), 2.0);
    EXPECT_TRUE(strategy.reduce_boolean_decision(rank == 1, /*all=*/false));
    EXPECT_FALSE(strategy.reduce_boolean_decision(rank == 1, /*all=*/true));
    EXPECT_EQ(strategy.broadcast(rank == 0 ? "from zero" : "from one"), "from zero");
    EXPECT_EQ(strategy.broadcast(""), "");
  });
}

TEST(DdpStrategyTest, MeanOfIntegersIsTruncated) {
  on_two_ranks([](Strategy& strategy, int rank) {
    const at::Tensor count = at::full({}, rank == 0 ? 5 : 4, at::TensorOptions(at::kLong));
    EXPECT_EQ(strategy.reduce(count, Reduction::kMean).item().toLong(), 4);
  });
}

TEST(DdpStrategyTest, GatherKeepsSizesApart) {
  on_two_ranks([](Strategy& strategy, int rank) {
    const std::vector<std::string> all = strategy.gather(rank == 0 ? "a" : "longer");
    if (rank == 0) {
      EXPECT_THAT(all, ::testing::ElementsAre("a", "longer"));
    } else {
      EXPECT_TRUE(all.empty());
    }
  });
}

TEST(BoundaryAgreementTest, OneRankIsServedAtOnce) {
  const auto agreement = make_immediate_agreement();
  EXPECT_FALSE(agreement->poll(1).has_value());
  agreement->request(BoundaryAction::kStop);
  EXPECT_EQ(agreement->poll(2), BoundaryAction::kStop);
  EXPECT_FALSE(agreement->poll(3).has_value());
}

// Rank 1 alone asks; both act at the same boundary. The all-reduce stands for a training step.
TEST(BoundaryAgreementTest, TwoRanksActAtTheSameBoundary) {
  std::int64_t acted[2] = {-1, -1};
  std::int64_t acted_again[2] = {-1, -1};
  on_two_ranks([&](Strategy& strategy, int rank) {
    const auto agreement = strategy.make_agreement();
    for (std::int64_t boundary = 1; acted_again[rank] < 0; ++boundary) {
      strategy.reduce(at::full({}, 1.0), Reduction::kSum);
      if (rank == 1 && boundary == 3) agreement->request(BoundaryAction::kCheckpoint);
      if (rank == 0 && acted[0] >= 0) agreement->request(BoundaryAction::kStop);
      if (const auto action = agreement->poll(boundary)) {
        if (acted[rank] < 0) {
          EXPECT_EQ(*action, BoundaryAction::kCheckpoint);
          acted[rank] = boundary;
        } else {
          EXPECT_EQ(*action, BoundaryAction::kStop);
          acted_again[rank] = boundary;
        }
      }
    }
    strategy.barrier();
  });
  EXPECT_GE(acted[0], 3);
  EXPECT_EQ(acted[0], acted[1]);
  EXPECT_EQ(acted_again[0], acted_again[1]);
}

// Training may be over before an answer comes: the ranks still part.
TEST(BoundaryAgreementTest, ARequestThatComesTooLateHoldsNobody) {
  on_two_ranks([&](Strategy& strategy, int rank) {
    const auto agreement = strategy.make_agreement();
    if (rank == 0) agreement->request(BoundaryAction::kCheckpoint);
    for (int i = 0; i < 200; ++i) strategy.barrier();  // time enough for every rank to be armed
    strategy.barrier();
  });
}

}  // namespace
}  // namespace lctl
