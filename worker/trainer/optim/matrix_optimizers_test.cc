// Optimizers that treat matrices as such. Expected numbers are those of torch 2.11 in Python after
// the same four gradients.
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/optim/adafactor.h"
#include "worker/trainer/optim/muon.h"

namespace lctl {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;
using Params = std::vector<at::Tensor>;

constexpr float kGrads[4][4] = {{0.5F, -1.0F, 2.0F, 0.1F},
                                {0.25F, 1.0F, -2.0F, 0.3F},
                                {-0.5F, 0.75F, 1.0F, -0.2F},
                                {0.1F, 0.2F, 0.3F, 0.4F}};

std::vector<double> values(const Params& params) {
  std::vector<double> all;
  for (const at::Tensor& param : params) {
    const at::Tensor flat = param.detach().flatten().to(at::kDouble);
    all.insert(all.end(), flat.const_data_ptr<double>(),
               flat.const_data_ptr<double>() + flat.numel());
  }
  return all;
}

// A vector and a matrix.
std::vector<double> after_adafactor(const AdafactorOptions& options) {
  Params params{at::tensor({1.0F, -2.0F, 0.5F}), at::tensor({0.25F}).view({1, 1})};
  for (at::Tensor& param : params) param.set_requires_grad(true);
  Adafactor optimizer(params, options);
  for (const auto& g : kGrads) {
    params[0].mutable_grad() = at::tensor({g[0], g[1], g[2]});
    params[1].mutable_grad() = at::tensor({g[3]}).view({1, 1});
    optimizer.step();
  }
  return values(params);
}

Params one_matrix() {
  return {
      at::tensor({1.0F, -2.0F, 0.5F, 0.25F, 0.75F, -1.0F}).view({3, 2}).set_requires_grad(true)};
}

std::vector<double> after_muon(const MuonOptions& options) {
  Params params = one_matrix();
  Muon optimizer(params, options);
  for (const auto& g : kGrads) {
    params[0].mutable_grad() = at::tensor({g[0], g[1], g[2], g[3], g[1], g[0]}).view({3, 2});
    optimizer.step();
  }
  return values(params);
}

TEST(AdafactorTest, StepsAsTorch) {
  const std::vector<double> plain = {0.9896158576011658, -2.014343023300171, 0.489041805267334,
                                     0.244759202003479};
  EXPECT_THAT(after_adafactor({}), Pointwise(DoubleNear(1e-6), plain));
  const std::vector<double> all = {1.061851143836975, -1.7653523683547974, 0.5767197608947754,
                                   0.30854228138923645};
  EXPECT_THAT(
      after_adafactor(
          {.lr = 0.1, .eps1 = 1e-8, .eps2 = 1e-2, .d = 1.5, .weight_decay = 0.1, .maximize = true}),
      Pointwise(DoubleNear(1e-6), all));
}

TEST(AdafactorTest, StateHasTorchsNames) {
  Params params = one_matrix();
  Adafactor optimizer(params, {});
  params[0].mutable_grad() = at::tensor({1.F, 2.F, 3.F, 4.F, 5.F, 6.F}).view({3, 2});
  optimizer.step();
  const checkpoint::Dict state = optimizer.state_dict();
  const checkpoint::Dict& entry = state.at("state").as_dict().find(std::int64_t{0})->as_dict();
  EXPECT_EQ(entry.at("row_var").as_tensor().sizes(), (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(entry.at("col_var").as_tensor().sizes(), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(entry.find("variance"), nullptr);
}

TEST(MuonTest, StepsAsTorch) {
  // In bfloat16, whose products differ between processors.
  const std::vector<double> plain = {0.961805, -2.08159, 0.347595, 0.119981, 0.557082, -1.016083};
  EXPECT_THAT(after_muon({.lr = 0.1}), Pointwise(DoubleNear(5e-3), plain));
  const std::vector<double> adjusted = {0.97396,  -2.030641, 0.442998,
                                        0.217676, 0.720636,  -1.040182};
  EXPECT_THAT(
      after_muon(
          {.lr = 0.1, .weight_decay = 0, .nesterov = false, .adjust_lr_fn = "match_rms_adamw"}),
      Pointwise(DoubleNear(5e-3), adjusted));
}

TEST(MuonTest, TakesMatricesOnly) {
  EXPECT_THROW(Muon({at::tensor({1.0F, 2.0F})}, {}), std::invalid_argument);
  EXPECT_THROW(Muon(one_matrix(), {.ns_steps = 100}), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
