// Expected rates are those of torch 2.11 in Python.
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <functional>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/lr_scheduler/composed.h"
#include "worker/trainer/optim/lr_scheduler/cosine.h"
#include "worker/trainer/optim/lr_scheduler/cyclic.h"
#include "worker/trainer/optim/lr_scheduler/multiplicative.h"
#include "worker/trainer/optim/lr_scheduler/one_cycle.h"
#include "worker/trainer/optim/lr_scheduler/reduce_on_plateau.h"
#include "worker/trainer/optim/sgd.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Rates = std::vector<double>;
using Make = std::function<std::unique_ptr<LRScheduler>(Optimizer&)>;

SGD sgd() {
  return SGD({at::tensor({1.0F}).set_requires_grad(true)}, {.lr = 0.1, .momentum = 0.9});
}

double momentum(Optimizer& optimizer) {
  return optimizer.param_groups()[0].options.at("momentum").as_double();
}

std::vector<std::unique_ptr<LRScheduler>> warm_up_then_decay(Optimizer& optimizer) {
  std::vector<std::unique_ptr<LRScheduler>> parts;
  parts.push_back(linear_lr(optimizer, 0.5, 1.0, 2));
  parts.push_back(exponential_lr(optimizer, 0.5));
  return parts;
}

struct Case {
  const char* name;
  Make make;
  Rates rates;  // after construction and after each of seven steps
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"StepLR",
       [](Optimizer& o) { return step_lr(o, 2, 0.5); },
       {0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125}},
      {"MultiStepLR",
       [](Optimizer& o) { return multi_step_lr(o, {1, 3, 3}, 0.5); },
       {0.1, 0.05, 0.05, 0.0125, 0.0125, 0.0125, 0.0125, 0.0125}},
      {"ConstantLR",
       [](Optimizer& o) { return constant_lr(o, 0.5, 3); },
       {0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1}},
      {"LinearLR",
       [](Optimizer& o) { return linear_lr(o, 0.25, 1.0, 4); },
       {0.025, 0.043750000000000004, 0.06250000000000001, 0.08125000000000002, 0.10000000000000002,
        0.10000000000000002, 0.10000000000000002, 0.10000000000000002}},
      {"ExponentialLR",
       [](Optimizer& o) { return exponential_lr(o, 0.9); },
       {0.1, 0.09000000000000001, 0.08100000000000002, 0.07290000000000002, 0.06561000000000002,
        0.05904900000000002, 0.05314410000000002, 0.04782969000000002}},
      {"PolynomialLR",
       [](Optimizer& o) { return polynomial_lr(o, 4, 2.0); },
       {0.1, 0.05625, 0.024999999999999998, 0.0062499999999999995, 0.0, 0.0, 0.0, 0.0}},
      {"CosineAnnealingLR",
       [](Optimizer& o) { return cosine_annealing_lr(o, 3, 0.01); },
       {0.1, 0.0775, 0.032500000000000015, 0.01, 0.0325, 0.07750000000000005, 0.10000000000000007,
        0.07750000000000007}},
      {"CosineAnnealingWarmRestarts",
       [](Optimizer& o) { return cosine_annealing_warm_restarts(o, 2, 2, 0.01); },
       {0.1, 0.05500000000000001, 0.1, 0.08681980515339464, 0.05500000000000001,
        0.023180194846605363, 0.1, 0.0965745789630079}},
      {"OneCycleLR",
       [](Optimizer& o) { return one_cycle_lr(o, {.max_lr = {0.5}, .total_steps = 8}); },
       {0.020000000000000018, 0.409637552446096, 0.4859708886937616, 0.4058728269748815,
        0.2779920070613508, 0.14153049910434962, 0.0383207969171282, 2e-06}},
      {"OneCycleLR",
       [](Optimizer& o) {
         return one_cycle_lr(o, {.max_lr = {0.5},
                                 .epochs = 2,
                                 .steps_per_epoch = 5,
                                 .anneal_strategy = "linear",
                                 .three_phase = true});
       },
       {0.02, 0.26, 0.5, 0.26, 0.020000000000000018, 0.016000399999999998, 0.012000799999999999,
        0.0080012}},
      {"CyclicLR",
       [](Optimizer& o) {
         return cyclic_lr(
             o, {.base_lr = {0.01}, .max_lr = {0.1}, .step_size_up = 2, .step_size_down = 3});
       },
       {0.01, 0.055, 0.09999999999999999, 0.06999999999999999, 0.039999999999999994, 0.01,
        0.05500000000000005, 0.09999999999999999}},
      {"CyclicLR",
       [](Optimizer& o) {
         return cyclic_lr(
             o, {.base_lr = {0.01}, .max_lr = {0.1}, .step_size_up = 2, .mode = "triangular2"});
       },
       {0.01, 0.05500000000000001, 0.1, 0.05500000000000001, 0.01, 0.0325, 0.05500000000000001,
        0.0325}},
      {"CyclicLR",
       [](Optimizer& o) {
         return cyclic_lr(o, {.base_lr = {0.01},
                              .max_lr = {0.1},
                              .step_size_up = 2,
                              .mode = "exp_range",
                              .gamma = 0.5});
       },
       {0.01, 0.0325, 0.0325, 0.015625, 0.01, 0.01140625, 0.01140625, 0.0103515625}},
      {"SequentialLR",
       [](Optimizer& o) { return sequential_lr(o, warm_up_then_decay(o), {3}); },
       {0.05, 0.07500000000000001, 0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625}},
      {"ChainedScheduler",
       [](Optimizer& o) { return chained_scheduler(warm_up_then_decay(o)); },
       {0.05, 0.037500000000000006, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625, 0.00078125}},
  };
  return all;
}

TEST(SchedulersTest, RatesAreTorchs) {
  for (const Case& each : cases()) {
    SGD optimizer = sgd();
    const auto scheduler = each.make(optimizer);
    EXPECT_EQ(scheduler->type_name(), each.name);
    for (std::size_t i = 0; i < each.rates.size(); ++i) {
      if (i > 0) scheduler->step(nullptr);
      EXPECT_DOUBLE_EQ(optimizer.param_groups()[0].lr, each.rates[i]) << each.name << " step " << i;
    }
  }
}

TEST(SchedulersTest, AResumedSchedulerGoesOnWithTheSameRates) {
  for (const Case& each : cases()) {
    SGD before = sgd();
    const auto first = each.make(before);
    for (int i = 0; i < 3; ++i) first->step(nullptr);
    SGD after = sgd();
    const auto second = each.make(after);
    after.load_state_dict(before.state_dict());
    second->load_state_dict(first->state_dict());
    for (std::size_t i = 4; i < each.rates.size(); ++i) {
      second->step(nullptr);
      EXPECT_DOUBLE_EQ(after.param_groups()[0].lr, each.rates[i]) << each.name << " step " << i;
    }
  }
}

TEST(CyclicLrTest, MomentumFallsWhileTheRateRises) {
  SGD optimizer = sgd();
  const auto scheduler =
      cyclic_lr(optimizer, {.base_lr = {0.01}, .max_lr = {0.1}, .step_size_up = 2});
  EXPECT_DOUBLE_EQ(momentum(optimizer), 0.9);
  scheduler->step(nullptr);
  EXPECT_DOUBLE_EQ(momentum(optimizer), 0.85);
  scheduler->step(nullptr);
  EXPECT_DOUBLE_EQ(momentum(optimizer), 0.8);
  EXPECT_THROW(cyclic_lr(optimizer, {.base_lr = {0.01}, .max_lr = {0.1}, .mode = "square"}),
               std::invalid_argument);
}

std::vector<std::string> keys(const checkpoint::Dict& dict) {
  std::vector<std::string> names;
  for (const auto& [key, value] : dict.entries()) names.push_back(key.as_string());
  return names;
}

TEST(SchedulersTest, StateHasTorchsAttributesInOrder) {
  SGD optimizer = sgd();
  const auto scheduler = step_lr(optimizer, 2);
  EXPECT_THAT(keys(scheduler->state_dict()),
              ElementsAre("step_size", "gamma", "base_lrs", "last_epoch", "_step_count",
                          "_is_initial", "_get_lr_called_within_step", "_last_lr"));
  const auto composed = sequential_lr(optimizer, warm_up_then_decay(optimizer), {3});
  EXPECT_THAT(keys(composed->state_dict()),
              ElementsAre("_milestones", "last_epoch", "_last_lr", "_schedulers"));
  const auto plateau = reduce_lr_on_plateau(optimizer, {});
  EXPECT_THAT(keys(plateau->state_dict()),
              ElementsAre("factor", "default_min_lr", "min_lrs", "patience", "cooldown", "eps",
                          "last_epoch", "_last_lr", "mode_worse", "mode", "threshold",
                          "threshold_mode", "best", "cooldown_counter", "num_bad_epochs"));
}

TEST(OneCycleTest, MomentumMovesAgainstTheRate) {
  SGD optimizer = sgd();
  const auto scheduler = one_cycle_lr(optimizer, {.max_lr = {0.5}, .total_steps = 8});
  EXPECT_DOUBLE_EQ(momentum(optimizer), 0.95);
  for (int i = 0; i < 2; ++i) scheduler->step(nullptr);
  EXPECT_DOUBLE_EQ(momentum(optimizer), 0.8528058334845816);
  for (int i = 0; i < 5; ++i) scheduler->step(nullptr);
  EXPECT_DOUBLE_EQ(momentum(optimizer), 0.95);
}

TEST(OneCycleTest, OfAdamTheFirstBetaMoves) {
  Adam optimizer({at::tensor({1.0F}).set_requires_grad(true)}, {});
  const auto scheduler = one_cycle_lr(optimizer, {.max_lr = {0.5}, .total_steps = 8});
  const auto betas = pair_option(optimizer.param_groups()[0], "betas");
  EXPECT_DOUBLE_EQ(betas.first, 0.95);
  EXPECT_DOUBLE_EQ(betas.second, 0.999);
}

TEST(OneCycleTest, OneStepTooManyIsAnError) {
  SGD optimizer = sgd();
  const auto scheduler = one_cycle_lr(optimizer, {.max_lr = {0.5}, .total_steps = 2});
  scheduler->step(nullptr);
  scheduler->step(nullptr);
  try {
    scheduler->step(nullptr);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("Tried to step 3 times"));
  }
}

TEST(ReduceLrOnPlateauTest, ReducesAfterPatienceAndWaitsInCooldown) {
  SGD optimizer = sgd();
  const auto scheduler = reduce_lr_on_plateau(
      optimizer, {.factor = 0.5, .patience = 1, .threshold = 0.1, .cooldown = 1});
  Rates rates;
  for (const double metric : {1.0, 0.95, 0.94, 0.93, 0.92, 0.2, 0.3, 0.3, 0.3}) {
    scheduler->step(&metric);
    rates.push_back(optimizer.param_groups()[0].lr);
  }
  EXPECT_THAT(rates, ElementsAre(0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025));
  EXPECT_TRUE(scheduler->is_reduce_on_plateau());
}

TEST(ReduceLrOnPlateauTest, StateSurvivesAndTheMetricIsNeeded) {
  SGD optimizer = sgd();
  const auto first = reduce_lr_on_plateau(optimizer, {.mode = "max", .patience = 0});
  const double good = 2.0;
  first->step(&good);
  const auto second = reduce_lr_on_plateau(optimizer, {.mode = "max", .patience = 0});
  second->load_state_dict(first->state_dict());
  const double worse = 1.0;
  second->step(&worse);
  EXPECT_DOUBLE_EQ(optimizer.param_groups()[0].lr, 0.1 * 0.1);
  EXPECT_THROW(second->step(nullptr), std::invalid_argument);
}

// In torch those that compute from the present rates follow a group that is added later.
TEST(AddedGroupTest, MultiplyingSchedulersFollowAndOthersRefuse) {
  const at::Tensor late = at::tensor({0.0F, 0.0F}).set_requires_grad(true);
  const auto rate_after = [&](const auto& make) -> double {
    SGD optimizer = sgd();
    const auto scheduler = make(optimizer);
    scheduler->step(nullptr);
    optimizer.add_param_group({late}, 0.01);
    scheduler->step(nullptr);
    return optimizer.param_groups()[1].lr;
  };
  EXPECT_DOUBLE_EQ(rate_after([](Optimizer& o) { return step_lr(o, 1, 0.5); }), 0.005);
  EXPECT_DOUBLE_EQ(rate_after([](Optimizer& o) { return exponential_lr(o, 0.5); }), 0.005);
  EXPECT_NEAR(rate_after([](Optimizer& o) { return cosine_annealing_lr(o, 10); }),
              0.01 * 1.8090169943749475 / 1.9510565162951536, 1e-12);
  const auto refusal = [&](const auto& make) -> std::string {
    try {
      rate_after(make);
      return "";
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  };
  EXPECT_THAT(refusal([](Optimizer& o) { return cosine_annealing_warm_restarts(o, 10); }),
              HasSubstr("zip() argument 2 is shorter than argument 1"));
  EXPECT_THAT(refusal([](Optimizer& o) {
                return cyclic_lr(o, {.base_lr = {0.1}, .max_lr = {0.2}, .cycle_momentum = false});
              }),
              HasSubstr("zip() argument 2 is shorter than argument 1"));
  EXPECT_THAT(refusal([](Optimizer& o) {
                return one_cycle_lr(o,
                                    {.max_lr = {0.1}, .total_steps = 10, .cycle_momentum = false});
              }),
              HasSubstr("'initial_lr'"));
}

TEST(ComposedTest, ImpossibleCompositionsAreRefused) {
  SGD optimizer = sgd();
  SGD other = sgd();
  std::vector<std::unique_ptr<LRScheduler>> with_plateau;
  with_plateau.push_back(reduce_lr_on_plateau(optimizer, {}));
  EXPECT_THROW(chained_scheduler(std::move(with_plateau)), std::invalid_argument);
  EXPECT_THROW(sequential_lr(optimizer, {}, {}), std::invalid_argument);
  EXPECT_THROW(sequential_lr(optimizer, warm_up_then_decay(optimizer), {}), std::invalid_argument);
  EXPECT_THROW(sequential_lr(other, warm_up_then_decay(optimizer), {1}), std::invalid_argument);
  EXPECT_THROW(linear_lr(optimizer, 0.0), std::invalid_argument);
  EXPECT_THROW(one_cycle_lr(optimizer, {.max_lr = {0.1}}), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
