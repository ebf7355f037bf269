#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <torch/nn/modules/container/sequential.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>

#include "worker/pulse/pulse.h"
#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/core/batch_norm.h"
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

TEST(DdpStrategyTest, CollectivesAreCountedInThePulse) {
  on_two_ranks([](Strategy& strategy, int /*rank*/) {
    const pulse::Page& page = *pulse::detail::page;
    const auto kind = [&](std::uint64_t number) {
      return static_cast<pulse::Collective>(page.recent[number % page.recent.size()]);
    };
    const std::uint64_t first = page.begun + 1;
    strategy.reduce(at::full({}, 1.0), Reduction::kSum);
    strategy.all_gather(at::full({}, 1.0));
    strategy.broadcast("");  // its length is all that is sent
    strategy.barrier();
    EXPECT_EQ(page.begun, first + 3);
    EXPECT_EQ(page.passed, page.begun);
    EXPECT_EQ(kind(first), pulse::Collective::kAllReduce);
    EXPECT_EQ(kind(first + 1), pulse::Collective::kAllGather);
    EXPECT_EQ(kind(first + 2), pulse::Collective::kBroadcast);
    EXPECT_EQ(kind(first + 3), pulse::Collective::kBarrier);
    EXPECT_EQ(pulse::open_collective(), "");
  });
}

TEST(DdpStrategyTest, CollectiveThatBreaksIsTheOneThatThePulseNames) {
  on_two_ranks([](Strategy& strategy, int rank) {
    strategy.barrier();
    if (rank == 1) _exit(0);
    EXPECT_ANY_THROW(strategy.reduce(at::full({}, 1.0), Reduction::kSum));
    EXPECT_EQ(pulse::open_collective(), "all_reduce #2");
    std::fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  });
}

// ---- batch normalisation over all ranks

// The whole batch, of which a rank sees some rows.
at::Tensor whole_batch() {
  at::manual_seed(3);
  return at::randn({6, 4, 3}).mul(2).add(1);
}

at::Tensor loss_weights() { return at::linspace(-1, 2, 6 * 4 * 3).view({6, 4, 3}); }

struct Normalised {
  at::Tensor output;
  at::Tensor input_gradient;
  BatchNorm1d layer = nullptr;
};

// Two steps of a layer on those rows; the loss sums over them.
Normalised normalise(const torch::nn::BatchNormOptions& options, std::int64_t first,
                     std::int64_t rows, Strategy* strategy) {
  Normalised result;
  result.layer = BatchNorm1d(options);
  result.layer->share_statistics(strategy);
  if (options.affine()) {
    const at::NoGradGuard no_grad;
    result.layer->weight.copy_(at::linspace(0.5, 2, 4));
  }
  result.layer->forward(whole_batch().narrow(0, first, rows).mul(0.5));
  const at::Tensor input = whole_batch().narrow(0, first, rows).clone().set_requires_grad(true);
  result.output = result.layer->forward(input);
  result.output.mul(loss_weights().narrow(0, first, rows)).sum().backward();
  result.input_gradient = input.grad();
  return result;
}

// Halves, unequal parts, and a rank that has nothing.
TEST(SyncBatchNormTest, TwoRanksEqualOneRankWithTheWholeBatch) {
  on_two_ranks([](Strategy& strategy, int rank) {
    for (const std::int64_t of_zero : {3, 4, 6}) {
      for (const bool affine : {true, false}) {
        for (const std::optional<double> momentum : {std::optional(0.1), std::optional<double>()}) {
          const auto options =
              torch::nn::BatchNormOptions(4).affine(affine).momentum(momentum).eps(1e-3);
          const Normalised whole = normalise(options, 0, 6, nullptr);
          const std::int64_t first = rank == 0 ? 0 : of_zero;
          const std::int64_t rows = rank == 0 ? of_zero : 6 - of_zero;
          const Normalised part = normalise(options, first, rows, &strategy);
          const auto close = [](const at::Tensor& a, const at::Tensor& b) {
            return at::allclose(a, b, 1e-5, 1e-5);
          };
          EXPECT_TRUE(close(part.output, whole.output.narrow(0, first, rows)));
          EXPECT_TRUE(close(part.input_gradient, whole.input_gradient.narrow(0, first, rows)));
          EXPECT_TRUE(close(part.layer->running_mean, whole.layer->running_mean));
          EXPECT_TRUE(close(part.layer->running_var, whole.layer->running_var));
          EXPECT_EQ(part.layer->num_batches_tracked.item<std::int64_t>(), 2);
          if (!affine) continue;
          const auto over_ranks = [&strategy](const at::Tensor& gradient) {
            return strategy.reduce(gradient.clone(), Reduction::kSum);
          };
          EXPECT_TRUE(close(over_ranks(part.layer->weight.grad()), whole.layer->weight.grad()));
          EXPECT_TRUE(close(over_ranks(part.layer->bias.grad()), whole.layer->bias.grad()));
        }
      }
    }
  });
}

TEST(SyncBatchNormTest, EvaluationAndALayerThatSharesNothingAreTorchs) {
  BatchNorm2d ours(3);
  torch::nn::BatchNorm2d theirs(3);
  const at::Tensor input = at::randn({2, 3, 4, 4});
  EXPECT_TRUE(ours->forward(input).equal(theirs->forward(input)));
  const auto strategy = make_single_device_strategy(c10::kCPU);
  ours->share_statistics(strategy.get());
  ours->eval();
  theirs->eval();
  EXPECT_TRUE(ours->forward(input).equal(theirs->forward(input)));
  torch::nn::Sequential sequential(BatchNorm2d(3));
  EXPECT_EQ(sequential->forward(input).sizes(), input.sizes());
}

TEST(SyncBatchNormTest, HalfInputsAreNormalisedInFloat) {
  on_two_ranks([](Strategy& strategy, int rank) {
    BatchNorm1d layer(4);
    layer->share_statistics(&strategy);
    const at::Tensor input = whole_batch().narrow(0, 3 * rank, 3).to(at::kBFloat16);
    const at::Tensor output = layer->forward(input);
    EXPECT_EQ(output.scalar_type(), at::kBFloat16);
    const at::Tensor mean =
        whole_batch().to(at::kBFloat16).to(at::kFloat).mean(at::IntArrayRef{0, 2});
    EXPECT_TRUE(at::allclose(layer->running_mean, mean.mul(0.1), 1e-5, 1e-5));
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
