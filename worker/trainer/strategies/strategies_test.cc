#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>

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

// Runs `body` on two ranks, each a process of its own: LibTorch's recorder of collectives is one
// per process and not made for two ranks in it.
void on_two_ranks(const std::function<void(Strategy& strategy, int rank)>& body) {
  const Listener listener;
  std::array<pid_t, 2> children{};
  for (int rank = 0; rank < 2; ++rank) {
    children[static_cast<std::size_t>(rank)] = fork();
    if (children[static_cast<std::size_t>(rank)] != 0) continue;
    setenv("WORLD_SIZE", "2", 1);
    setenv("LOCAL_WORLD_SIZE", "2", 1);
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
    std::fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  close(listener.fd);
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0) << "a rank failed; its output is above";
  }
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

// The boundary at which this rank acts; the all-reduce stands for a training step.
std::int64_t boundary_of(Strategy& strategy, BoundaryAgreement& agreement, std::int64_t first,
                         BoundaryAction wanted) {
  for (std::int64_t boundary = first;; ++boundary) {
    strategy.reduce(at::full({}, 1.0), Reduction::kSum);
    if (const auto action = agreement.poll(boundary)) {
      EXPECT_EQ(*action, wanted);
      return boundary;
    }
  }
}

void expect_equal_on_all_ranks(Strategy& strategy, std::int64_t number) {
  const auto value = [number] { return at::full({}, number, at::TensorOptions(at::kLong)); };
  EXPECT_EQ(strategy.reduce(value(), Reduction::kMin).item().toLong(), number);
  EXPECT_EQ(strategy.reduce(value(), Reduction::kMax).item().toLong(), number);
}

TEST(BoundaryAgreementTest, TwoRanksActAtTheSameBoundaryWhoeverAsks) {
  on_two_ranks([](Strategy& strategy, int rank) {
    const auto agreement = strategy.make_agreement();
    if (rank == 1) agreement->request(BoundaryAction::kCheckpoint);
    std::int64_t at = boundary_of(strategy, *agreement, 1, BoundaryAction::kCheckpoint);
    expect_equal_on_all_ranks(strategy, at);
    if (rank == 0) agreement->request(BoundaryAction::kStop);
    at = boundary_of(strategy, *agreement, at + 1, BoundaryAction::kStop);
    expect_equal_on_all_ranks(strategy, at);
  });
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
