// Expected values are those of torch 2.11 in Python.
#include "worker/trainer/optim/lbfgs.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;

// Rosenbrock's valley: minimum at (1, 1).
class Valley {
 public:
  explicit Valley(const LbfgsOptions& options) : optimizer({x}, options) {}

  void step() {
    optimizer.step([this] {
      optimizer.zero_grad();
      const at::Tensor a = x[0].neg().add(1);
      const at::Tensor b = x[1].sub(x[0].mul(x[0]));
      at::Tensor loss = a.mul(a).add(b.mul(b).mul(100));
      loss.backward();
      ++evaluations;
      return loss;
    });
  }
  double at(int i) const { return x[i].item().toDouble(); }

  at::Tensor x = at::tensor({-1.2, 1.0}, at::kDouble).set_requires_grad(true);
  LBFGS optimizer;
  int evaluations = 0;
};

TEST(LbfgsTest, GoesTorchsWay) {
  Valley plain({.lr = 0.001, .max_iter = 4});
  plain.step();
  EXPECT_EQ(plain.evaluations, 4);
  EXPECT_NEAR(plain.at(0), -1.1988724606313343, 1e-12);
  EXPECT_NEAR(plain.at(1), 1.0004946025355945, 1e-12);

  Valley searching({.lr = 1.0, .line_search_fn = "strong_wolfe"});
  for (int i = 0; i < 3; ++i) searching.step();
  EXPECT_NEAR(searching.at(0), 1.0, 1e-4);
  EXPECT_NEAR(searching.at(1), 1.0, 1e-4);
}

TEST(LbfgsTest, StateHasTorchsNamesAndGoesOnWhereItWas) {
  const LbfgsOptions options = {.lr = 0.01, .max_iter = 5};
  Valley first(options);
  first.step();
  const checkpoint::Dict state = first.optimizer.state_dict();
  std::vector<std::string> names;
  for (const auto& [name, value] :
       state.at("state").as_dict().find(std::int64_t{0})->as_dict().entries())
    names.push_back(name.as_string());
  EXPECT_THAT(names, ElementsAre("func_evals", "n_iter", "al", "d", "t", "old_dirs", "old_stps",
                                 "ro", "H_diag", "prev_flat_grad", "prev_loss"));
  Valley second(options);
  {
    const at::NoGradGuard no_grad;
    second.x.copy_(first.x);
  }
  second.optimizer.load_state_dict(state);
  first.step();
  second.step();
  EXPECT_EQ(first.at(0), second.at(0));
  EXPECT_EQ(first.at(1), second.at(1));
}

TEST(LbfgsTest, WhatItCannotDoIsAnError) {
  Valley valley({});
  EXPECT_THROW(valley.optimizer.step(), std::logic_error);
  EXPECT_THROW(Valley({.lr = -1}), std::invalid_argument);
  EXPECT_THROW(Valley({.line_search_fn = "armijo"}), std::invalid_argument);
  EXPECT_THROW(valley.optimizer.step([] { return at::Tensor(); }), std::runtime_error);
  valley.optimizer.param_groups().push_back(valley.optimizer.param_groups().front());
  EXPECT_THROW(valley.step(), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
