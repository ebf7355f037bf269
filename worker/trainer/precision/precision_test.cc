// 16-mixed on the CPU's kernels: the scaler's arithmetic and what it leaves out. The other formats
// are compared with Lightning's in the conformance suite.
#include "worker/trainer/precision/precision.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/optim/adagrad.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/sgd.h"
#include "worker/trainer/optim/skips_non_finite.h"
#include "worker/trainer/precision/grad_scaler.h"

namespace lctl {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class GradScalerTest : public testing::Test {
 protected:
  GradScalerTest() : weight_(at::ones({2}).set_requires_grad(true)), sgd_({weight_}, {.lr = 1.0}) {}

  // One step whose scaled gradient is `gradient`; whether it changed the weight.
  bool step(double gradient) {
    const double before = weight_[0].item().toDouble();
    weight_.mutable_grad() = at::full({2}, gradient);
    scaler_.unscale(sgd_);
    scaler_.step(sgd_);
    scaler_.update();
    return weight_[0].item().toDouble() != before;
  }
  double scale() const { return scaler_.state_dict().at("scale").as_double(); }

  at::Tensor weight_;
  SGD sgd_;
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

// Steps of fused optimizers, some of them with a gradient that is not finite.
class FusedStepsTest : public testing::Test {
 protected:
  // Weight and state after the steps that are finite, and the scale after all.
  static void expect_equal_to_finite_steps(
      const std::function<std::unique_ptr<Optimizer>(std::vector<at::Tensor>)>& make) {
    const std::vector<double> gradients = {kInfinity, 1.0, 0.5, kInfinity, -2.0};
    const at::Tensor weight = at::ones({3}).set_requires_grad(true);
    const at::Tensor expected = at::ones({3}).set_requires_grad(true);
    const std::unique_ptr<Optimizer> scaled = make({weight});
    const std::unique_ptr<Optimizer> plain = make({expected});
    ASSERT_TRUE(dynamic_cast<SkipsNonFinite&>(*scaled).can_skip_non_finite());
    GradScaler scaler(c10::kCPU);
    for (const double gradient : gradients) {
      weight.mutable_grad() =
          at::full({3}, gradient).mul(scaler.state_dict().at("scale").as_double());
      scaler.unscale(*scaled);
      scaler.step(*scaled);
      scaler.update();
      if (gradient == kInfinity) continue;
      expected.mutable_grad() = at::full({3}, gradient);
      plain->step();
    }
    EXPECT_TRUE(at::equal(weight, expected)) << weight << expected;
    EXPECT_EQ(scaler.state_dict().at("scale").as_double(), 16384.0);
    const auto state = [](Optimizer& optimizer) {
      return optimizer.state_dict().at("state").as_dict().find(std::int64_t{0})->as_dict();
    };
    const checkpoint::Dict wanted = state(*plain);
    const checkpoint::Dict got = state(*scaled);
    for (const auto& [name, value] : got.entries()) {
      EXPECT_TRUE(at::equal(value.as_tensor(), wanted.at(name.as_string()).as_tensor()))
          << name.as_string();
    }
  }
};

TEST_F(FusedStepsTest, AdamLeavesThemOutInTheKernel) {
  expect_equal_to_finite_steps([](std::vector<at::Tensor> params) {
    return adam_w(std::move(params), {.lr = 0.1, .fused = true});
  });
}

TEST_F(FusedStepsTest, AdagradLeavesThemOutInTheKernel) {
  expect_equal_to_finite_steps([](std::vector<at::Tensor> params) {
    return std::make_unique<Adagrad>(std::move(params), AdagradOptions{.lr = 0.1, .fused = true});
  });
}

TEST_F(FusedStepsTest, AFirstStepOfSgdThatIsLeftOutStaysTheFirst) {
  for (const double dampening : {0.0, 0.5}) {
    expect_equal_to_finite_steps([dampening](std::vector<at::Tensor> params) {
      return std::make_unique<SGD>(
          std::move(params),
          SgdOptions{.lr = 0.1, .momentum = 0.9, .dampening = dampening, .fused = true});
    });
  }
}

TEST_F(GradScalerTest, HalfWeightsAreRefused) {
  const at::Tensor half = at::ones({2}, at::kHalf).set_requires_grad(true);
  SGD optimizer({half}, {.lr = 1.0});
  half.mutable_grad() = at::ones({2}, at::kHalf);
  EXPECT_THROW(scaler_.unscale(optimizer), std::invalid_argument);
}

TEST(Fp16MixedTest, ForwardIsHalfBackwardIsScaledAndHooksSeeTrueGradients) {
  const std::unique_ptr<Precision> precision = make_fp16_mixed(c10::kCPU);
  EXPECT_EQ(precision->state_key(), "MixedPrecision");
  const at::Tensor weight = at::ones({2, 2}).set_requires_grad(true);
  SGD optimizer({weight}, {.lr = 1.0});
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
  SGD optimizer({weight}, {.lr = 1.0});
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
