// Expected rates are those of torch 2.11's SWALR in Python.
#include "worker/trainer/optim/lr_scheduler/swa.h"

#include <ATen/ops/tensor.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/optim/sgd.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;

SGD sgd() { return SGD({at::tensor({1.0F}).set_requires_grad(true)}, {.lr = 0.1}); }

std::vector<double> rates(Optimizer& optimizer, LRScheduler& scheduler, int steps) {
  std::vector<double> rates{optimizer.param_groups()[0].lr};
  for (int i = 0; i < steps; ++i) {
    scheduler.step(nullptr);
    rates.push_back(optimizer.param_groups()[0].lr);
  }
  return rates;
}

TEST(SwaLrTest, AnnealsToItsRateAndStaysThere) {
  SGD cosine = sgd();
  EXPECT_THAT(rates(cosine, *swa_lr(cosine, {.swa_lrs = {0.05}, .anneal_epochs = 3}), 4),
              ElementsAre(0.1, 0.08750000000000001, 0.06250000000000001, 0.05, 0.05));
  SGD linear = sgd();
  const SwaLrOptions options = {.swa_lrs = {0.05}, .anneal_epochs = 2, .anneal_strategy = "linear"};
  EXPECT_THAT(rates(linear, *swa_lr(linear, options), 3),
              ElementsAre(0.1, 0.07500000000000001, 0.05, 0.05));
  SGD at_once = sgd();
  EXPECT_THAT(rates(at_once, *swa_lr(at_once, {.swa_lrs = {0.05}, .anneal_epochs = 0}), 1),
              ElementsAre(0.05, 0.05));
}

TEST(SwaLrTest, StateHasTorchsNamesAndGoesOnWhereItWas) {
  SGD optimizer = sgd();
  const SwaLrOptions options = {.swa_lrs = {0.05}, .anneal_epochs = 3, .last_epoch = 7};
  const auto first = swa_lr(optimizer, options);
  first->step(nullptr);
  const checkpoint::Dict state = first->state_dict();
  std::vector<std::string> names;
  for (const auto& [name, value] : state.entries()) names.push_back(name.as_string());
  EXPECT_THAT(names,
              ElementsAre("_anneal_strategy", "anneal_epochs", "base_lrs", "last_epoch",
                          "_step_count", "_is_initial", "_get_lr_called_within_step", "_last_lr"));
  EXPECT_EQ(state.at("last_epoch").as_int(), 9);
  const auto second = swa_lr(optimizer, options);
  second->load_state_dict(state);
  second->step(nullptr);
  EXPECT_DOUBLE_EQ(optimizer.param_groups()[0].lr, 0.06250000000000001);
}

TEST(SwaLrTest, ImpossibleArgumentsAreRefused) {
  SGD optimizer = sgd();
  EXPECT_THROW(swa_lr(optimizer, {.swa_lrs = {0.1, 0.2}}), std::invalid_argument);
  EXPECT_THROW(swa_lr(optimizer, {.swa_lrs = {0.1}, .anneal_epochs = -1}), std::invalid_argument);
  EXPECT_THROW(swa_lr(optimizer, {.swa_lrs = {0.1}, .anneal_strategy = "step"}),
               std::invalid_argument);
}

}  // namespace
}  // namespace lctl
