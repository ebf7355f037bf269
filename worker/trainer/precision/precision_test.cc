// 16-mixed on the CPU's kernels: the scaler's arithmetic and what it leaves out. The other formats
// are compared with Lightning's in the conformance suite.
#include "worker/trainer/precision/precision.h"

#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/optim/sgd.h"
#include "worker/trainer/precision/grad_scaler.h"

namespace lctl {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class GradScalerTest : public testing::Test {
 protected:
  GradScalerTest() : weight_(at::ones({2}).set_requires_grad(true)), sgd_({weight_}, {.lr = 1.0}) {}

  // One step whose scaled gradient is `gradient`; whether the optimizer took it.
  bool step(double gradient) {
    weight_.mutable_grad() = at::full({2}, gradient);
    scaler_.unscale(sgd_);
    const bool taken = scaler_.step(sgd_);
    scaler_.update();
    return taken;
  }
  double scale() const { return scaler_.state_dict().at("scale").as_double(); }

  at::Tensor weight_;
  Sgd sgd_;
  GradScaler scaler_{c10::kCPU};
};

TEST_F(GradScalerTest, GradientsAreDividedByTheScale) {
  EXPECT_EQ(scaler_.scale(at::full({}, 2.0)).item().toDouble(), 131072.0);
  EXPECT_TRUE(step(0.5 * 65536));
  EXPECT_EQ(weight_[0].item().toDouble(), 0.5);
  EXPECT_EQ(scale(), 65536.0);
}

TEST_F(GradScalerTest, StepsThatAreNotFiniteAreLeftOutAndLowerTheScale) {
  EXPECT_FALSE(step(kInfinity));
  EXPECT_EQ(weight_[0].item().toDouble(), 1.0);
  EXPECT_EQ(scale(), 32768.0);
  EXPECT_FALSE(step(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_EQ(scale(), 16384.0);
  EXPECT_TRUE(step(16384.0));
  EXPECT_EQ(weight_[0].item().toDouble(), 0.0);
}

TEST_F(GradScalerTest, GoodStepsInARowRaiseTheScaleAndStateSurvives) {
  checkpoint::Dict state = scaler_.state_dict();
  EXPECT_EQ(state.at("growth_interval").as_int(), 2000);
  state.set("growth_interval", 3);
  state.set("scale", 4.0);
  scaler_.load_state_dict(state);
  step(0);
  step(0);
  EXPECT_EQ(scaler_.state_dict().at("_growth_tracker").as_int(), 2);
  GradScaler other(c10::kCPU);
  other.load_state_dict(scaler_.state_dict());
  scaler_ = std::move(other);
  step(0);
  EXPECT_EQ(scale(), 8.0);
}

TEST_F(GradScalerTest, HalfWeightsAreRefused) {
  const at::Tensor half = at::ones({2}, at::kHalf).set_requires_grad(true);
  Sgd optimizer({half}, {.lr = 1.0});
  half.mutable_grad() = at::ones({2}, at::kHalf);
  EXPECT_THROW(scaler_.unscale(optimizer), std::invalid_argument);
}

TEST(Fp16MixedTest, ForwardIsHalfBackwardIsScaledAndHooksSeeTrueGradients) {
  const std::unique_ptr<Precision> precision = make_fp16_mixed(c10::kCPU);
  EXPECT_EQ(precision->state_key(), "MixedPrecision");
  const at::Tensor weight = at::ones({2, 2}).set_requires_grad(true);
  Sgd optimizer({weight}, {.lr = 1.0});
  at::ScalarType forward = at::kFloat;
  double seen = 0;
  precision->optimizer_step(
      optimizer, /*automatic=*/true,
      [&] {
        at::Tensor loss;
        {
          const ForwardScope scope(*precision);
          const at::Tensor out = at::matmul(at::ones({1, 2}), weight);
          forward = out.scalar_type();
          loss = out.to(at::kFloat).sum().mul(0.25);  // 1 times the scale would not fit a half
        }
        precision->pre_backward(loss).backward();
        return loss;
      },
      [&] { seen = weight.grad()[0][0].item().toDouble(); });
  EXPECT_EQ(forward, at::kHalf);
  EXPECT_EQ(seen, 0.25) << "clipping and hooks work on unscaled gradients";
  EXPECT_EQ(weight[0][0].item().toDouble(), 0.75);
}

TEST(Fp16MixedTest, AStepWithoutLossIsNoStep) {
  const std::unique_ptr<Precision> precision = make_fp16_mixed(c10::kCPU);
  const at::Tensor weight = at::ones({2}).set_requires_grad(true);
  weight.mutable_grad() = at::ones({2});
  Sgd optimizer({weight}, {.lr = 1.0});
  bool told = false;
  precision->optimizer_step(
      optimizer, /*automatic=*/true, [] { return at::Tensor(); }, [&] { told = true; });
  EXPECT_TRUE(told);
  EXPECT_EQ(weight[0].item().toDouble(), 1.0);
}

TEST(MakePrecisionTest, HalfOnTheCpuIsBfloat16AndUnknownNamesAreRefused) {
  EXPECT_EQ(make_precision("16-mixed", c10::kCPU)->name(), "bf16-mixed");
  EXPECT_THROW(make_precision("transformer-engine", c10::kCPU), MisconfigurationException);
}

}  // namespace
}  // namespace lctl
