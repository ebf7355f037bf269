// LearningRateMonitor's names and values, GradientAccumulationScheduler's epochs, Timer's state.
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/gradient_accumulation_scheduler.h"
#include "worker/trainer/callbacks/learning_rate_monitor.h"
#include "worker/trainer/callbacks/timer.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/sgd.h"

namespace lctl {
namespace {

using testing::ElementsAre;
using testing::Pair;

class NoScheduler final : public LRScheduler {
 public:
  explicit NoScheduler(Optimizer& optimizer) : optimizer_(optimizer) {}
  std::string type_name() const override { return "NoScheduler"; }
  Optimizer& optimizer() const override { return optimizer_; }
  void step(const double* /*metric*/) override {}
  checkpoint::Dict state_dict() const override { return {}; }
  void load_state_dict(const checkpoint::Dict& /*state*/) override {}

 private:
  Optimizer& optimizer_;
};

class LearningRateMonitorTest : public testing::Test {
 protected:
  Optimizer& add_sgd(double lr, double momentum = 0) {
    config_.optimizers.push_back(std::make_unique<SGD>(std::vector<at::Tensor>{at::ones({1})},
                                                       SgdOptions{.lr = lr, .momentum = momentum}));
    return *config_.optimizers.back();
  }
  Optimizer& add_adam(double lr) {
    config_.optimizers.push_back(
        std::make_unique<Adam>(std::vector<at::Tensor>{at::ones({1})},
                               AdamOptions{.lr = lr, .betas = {0.8, 0.9}, .weight_decay = 0.01}));
    return *config_.optimizers.back();
  }
  void schedule(Optimizer& optimizer, const std::string& interval,
                std::optional<std::string> name = std::nullopt) {
    LRSchedulerConfig scheduler;
    scheduler.scheduler = std::make_unique<NoScheduler>(optimizer);
    scheduler.interval = interval;
    scheduler.name = std::move(name);
    config_.lr_schedulers.push_back(std::move(scheduler));
  }
  auto stats(std::string_view interval, const LearningRateMonitorOptions& options = {}) {
    return learning_rate_stats(config_, interval, options);
  }

  OptimizersConfig config_;
};

TEST_F(LearningRateMonitorTest, OptimizersOfOneClassAreNumbered) {
  add_sgd(0.1);
  add_sgd(0.2);
  add_adam(0.3);
  add_sgd(0.4);
  EXPECT_THAT(stats("any"), ElementsAre(Pair("lr-SGD", 0.1), Pair("lr-SGD-1", 0.2),
                                        Pair("lr-Adam", 0.3), Pair("lr-SGD-2", 0.4)));
}

TEST_F(LearningRateMonitorTest, SchedulersDecideMomentNameAndOrder) {
  Optimizer& first = add_sgd(0.1);
  Optimizer& second = add_adam(0.2);
  schedule(second, "step", "mine");
  schedule(first, "epoch");
  EXPECT_THAT(stats("step"), ElementsAre(Pair("mine", 0.2)));
  EXPECT_THAT(stats("epoch"), ElementsAre(Pair("lr-SGD", 0.1)));
  EXPECT_THAT(stats("any"), ElementsAre(Pair("mine", 0.2), Pair("lr-SGD", 0.1)));
}

TEST_F(LearningRateMonitorTest, MomentumAndWeightDecayAreLoggedWhenAskedFor) {
  add_sgd(0.1, 0.9);
  add_adam(0.2);
  EXPECT_THAT(stats("any", {.log_momentum = true, .log_weight_decay = true}),
              ElementsAre(Pair("lr-SGD", 0.1), Pair("lr-SGD-momentum", 0.9),
                          Pair("lr-SGD-weight_decay", 0.0), Pair("lr-Adam", 0.2),
                          Pair("lr-Adam-momentum", 0.8), Pair("lr-Adam-weight_decay", 0.01)));
}

TEST_F(LearningRateMonitorTest, ParameterGroupsHaveNumbersOrNames) {
  Optimizer& optimizer = add_sgd(0.1);
  optimizer.param_groups().push_back(optimizer.param_groups()[0]);
  optimizer.param_groups()[1].lr = 0.5;
  EXPECT_THAT(stats("any"), ElementsAre(Pair("lr-SGD/pg1", 0.1), Pair("lr-SGD/pg2", 0.5)));
  optimizer.param_groups()[1].options.set("name", checkpoint::Value("head"));
  EXPECT_THAT(stats("any"), ElementsAre(Pair("lr-SGD/pg1", 0.1), Pair("lr-SGD/head", 0.5)));
  optimizer.param_groups()[0].options.set("name", checkpoint::Value("head"));
  EXPECT_THROW(stats("any"), MisconfigurationException);
}

TEST_F(LearningRateMonitorTest, UnknownIntervalIsRefused) {
  EXPECT_THROW(LearningRateMonitor({.logging_interval = "batch"}), MisconfigurationException);
}

using Schedule = std::map<std::int64_t, std::int64_t>;

TEST(GradientAccumulationSchedulerTest, FactorIsThatOfTheLargestEpochReached) {
  const GradientAccumulationScheduler scheduler(Schedule{{2, 4}, {5, 8}});
  EXPECT_EQ(scheduler.accumulate_grad_batches(0), 1);
  EXPECT_EQ(scheduler.accumulate_grad_batches(1), 1);
  EXPECT_EQ(scheduler.accumulate_grad_batches(2), 4);
  EXPECT_EQ(scheduler.accumulate_grad_batches(4), 4);
  EXPECT_EQ(scheduler.accumulate_grad_batches(100), 8);
}

TEST(GradientAccumulationSchedulerTest, ImpossibleSchedulesAreRefusedInLightningsWords) {
  EXPECT_THROW(GradientAccumulationScheduler(Schedule{}), MisconfigurationException);
  try {
    GradientAccumulationScheduler(Schedule{{-1, 2}});
    FAIL() << "accepted";
  } catch (const MisconfigurationException& error) {
    EXPECT_STREQ(error.what(), "Epoch should be an int greater than or equal to 0. Got [-1].");
  }
  try {
    GradientAccumulationScheduler(Schedule{{1, 0}});
    FAIL() << "accepted";
  } catch (const MisconfigurationException& error) {
    EXPECT_STREQ(error.what(), "Accumulation factor should be an int greater than 0. Got [0].");
  }
}

TEST(TimerTest, TimeOfTrainingSurvivesARestart) {
  Timer timer({.duration = 10.0});
  EXPECT_EQ(timer.time_elapsed(Timer::Period::kTrain), 0);
  checkpoint::Dict elapsed;
  elapsed.set("train", checkpoint::Value(7.5));
  elapsed.set("validate", checkpoint::Value(2.5));
  checkpoint::Dict state;
  state.set("time_elapsed", checkpoint::Value(elapsed));
  timer.load_state_dict(state);
  EXPECT_EQ(timer.time_elapsed(Timer::Period::kTrain), 7.5);
  EXPECT_EQ(timer.time_elapsed(Timer::Period::kValidate), 0);

  const checkpoint::Dict written = timer.state_dict();
  const checkpoint::Dict& periods = written.at("time_elapsed").as_dict();
  std::vector<std::string> names;
  for (const auto& [name, seconds] : periods.entries()) names.push_back(name.as_string());
  EXPECT_THAT(names, ElementsAre("train", "sanity_check", "validate", "test", "predict"));
  EXPECT_EQ(periods.at("train").as_double(), 7.5);
  EXPECT_TRUE(periods.at("test").is_int());
}

TEST(TimerTest, UnknownIntervalIsRefused) {
  EXPECT_THROW(Timer({.interval = "batch"}), MisconfigurationException);
}

}  // namespace
}  // namespace lctl
