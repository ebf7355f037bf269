// Expected numbers are those of torch 2.11 in Python after the same four gradients.
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <functional>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/optim/adadelta.h"
#include "worker/trainer/optim/adagrad.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/adam_variants.h"
#include "worker/trainer/optim/asgd.h"
#include "worker/trainer/optim/lbfgs.h"
#include "worker/trainer/optim/rmsprop.h"
#include "worker/trainer/optim/rprop.h"
#include "worker/trainer/optim/sgd.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Params = std::vector<at::Tensor>;
using Make = std::function<std::unique_ptr<Optimizer>(Params)>;

Params two_parameters() {
  Params params{at::tensor({1.0F, -2.0F, 0.5F}), at::tensor({0.25F}).view({1, 1})};
  for (at::Tensor& param : params) param.set_requires_grad(true);
  return params;
}

void give_gradients(Params& params, int step) {
  static const float kGrads[4][4] = {{0.5F, -1.0F, 2.0F, 0.1F},
                                     {0.25F, 1.0F, -2.0F, 0.3F},
                                     {-0.5F, 0.75F, 1.0F, -0.2F},
                                     {0.1F, 0.2F, 0.3F, 0.4F}};
  const float* grad = kGrads[step];
  params[0].mutable_grad() = at::tensor({grad[0], grad[1], grad[2]});
  params[1].mutable_grad() = at::tensor({grad[3]}).view({1, 1});
}

std::vector<double> values(const Params& params) {
  const at::Tensor first = params[0].detach();
  return {first[0].item<double>(), first[1].item<double>(), first[2].item<double>(),
          params[1].detach().item<double>()};
}

std::vector<double> after_steps(int steps, const Make& make) {
  Params params = two_parameters();
  const auto optimizer = make(params);
  for (int step = 0; step < steps; ++step) {
    give_gradients(params, step % 4);
    optimizer->step();
  }
  return values(params);
}

std::vector<double> after_four_steps(const Make& make) { return after_steps(4, make); }

// The last bit of a vector lane may differ between processors.
auto near(double a, double b, double c, double d) {
  using ::testing::DoubleNear;
  return ElementsAre(DoubleNear(a, 3e-7), DoubleNear(b, 3e-7), DoubleNear(c, 3e-7),
                     DoubleNear(d, 3e-7));
}

template <typename T, typename Options>
Make with(Options options) {
  options.lr = 0.1;
  return [options](Params params) { return std::make_unique<T>(std::move(params), options); };
}

class BothWays : public ::testing::TestWithParam<bool> {
 protected:
  std::optional<bool> fused() const {
    return GetParam() ? std::optional<bool>(true) : std::nullopt;
  }
};
INSTANTIATE_TEST_SUITE_P(LoopAndFused, BothWays, ::testing::Bool());

TEST_P(BothWays, SgdStepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<SGD>(SgdOptions{.fused = fused()})),
      near(0.9650000333786011, -2.0950000286102295, 0.3700000047683716, 0.18999998271465302));
  EXPECT_THAT(
      after_four_steps(with<SGD>(
          SgdOptions{.momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01, .fused = fused()})),
      near(0.8355415463447571, -2.0297417640686035, 0.09885195642709732, 0.13867834210395813));
  EXPECT_THAT(
      after_four_steps(with<SGD>(
          SgdOptions{.momentum = 0.9, .nesterov = true, .maximize = true, .fused = fused()})),
      near(1.1742300987243652, -1.8243601322174072, 0.9592199921607971, 0.41592100262641907));
}

TEST_P(BothWays, AdamStepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<Adam>(AdamOptions{.weight_decay = 0.01, .fused = fused()})),
      near(0.774650514125824, -1.9672054052352905, 0.3670361340045929, -0.02552807331085205));
  EXPECT_THAT(
      after_four_steps(with<Adam>(AdamOptions{.amsgrad = true, .fused = fused()})),
      near(0.7790209054946899, -1.9732787609100342, 0.36776021122932434, -0.024450678378343582));
}

TEST_P(BothWays, AdamWStepsAsTorch) {
  EXPECT_THAT(
      after_four_steps([this](Params params) {
        return adam_w(std::move(params), {.lr = 0.1, .weight_decay = 0.01, .fused = fused()});
      }),
      near(0.7755240201950073, -1.9655464887619019, 0.36606988310813904, -0.02494022622704506));
}

TEST_P(BothWays, AdagradStepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(
          with<Adagrad>(AdagradOptions{.lr_decay = 0.1, .weight_decay = 0.01, .fused = fused()})),
      near(0.9021235108375549, -2.0098745822906494, 0.42849302291870117, 0.05200837552547455));
}

TEST(RmspropTest, StepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<RMSprop>(RmspropOptions{})),
      near(0.08752508461475372, -2.305471897125244, -0.2273535132408142, -1.8958678245544434));
  // Centred, the average is a small difference of squares: its error is that of float32, magnified.
  const std::vector<double> centred = after_four_steps(
      with<RMSprop>(RmspropOptions{.weight_decay = 0.01, .momentum = 0.9, .centered = true}));
  EXPECT_NEAR(centred[0], -2.489713668823242, 1e-5);
  EXPECT_NEAR(centred[3], -5.355134963989258, 1e-5);
}

TEST(AdadeltaTest, StepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<Adadelta>(AdadeltaOptions{.weight_decay = 0.01})),
      near(0.9997118711471558, -2.000338554382324, 0.4997488856315613, 0.24907779693603516));
}

TEST(AdamVariantsTest, StepAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<Adamax>(AdamVariantOptions{})),
      near(0.8040152788162231, -1.9641449451446533, 0.3749970495700836, 0.02402961626648903));
  EXPECT_THAT(
      after_four_steps(with<NAdam>(AdamVariantOptions{.weight_decay = 0.01})),
      near(0.8886311650276184, -2.032306432723999, 0.41153770685195923, 0.0030321944504976273));
  EXPECT_THAT(
      after_four_steps(
          with<NAdam>(AdamVariantOptions{.weight_decay = 0.01, .decoupled_weight_decay = true})),
      near(0.8889777660369873, -2.028965950012207, 0.4102935492992401, 0.0027319230139255524));
  EXPECT_THAT(after_four_steps(with<RAdam>(AdamVariantOptions{.betas = {0.9, 0.5}})),
              near(0.9020508527755737, -1.96405827999115, 0.25008484721183777, 0.1983186900615692));
  // Long enough for the variance to count.
  const std::vector<double> rectified =
      after_steps(12, with<RAdam>(AdamVariantOptions{.betas = {0.9, 0.9}, .weight_decay = 0.01}));
  EXPECT_NEAR(rectified[0], 0.7972954511642456, 1e-6);
  EXPECT_NEAR(rectified[1], -2.030238628387451, 1e-6);
  EXPECT_NEAR(rectified[3], 0.01769184321165085, 1e-6);
}

TEST(AsgdTest, StepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<ASGD>(AsgdOptions{.t0 = 1})),
      near(0.9649611115455627, -2.0949177742004395, 0.3699836730957031, 0.18999150395393372));
}

TEST(RpropTest, StepsAsTorch) {
  EXPECT_THAT(
      after_four_steps(with<Rprop>(RpropOptions{})),
      near(0.7199999690055847, -2.009999990463257, 0.28999999165534973, -0.030000001192092896));
}

std::vector<std::string> keys(const checkpoint::Dict& dict) {
  std::vector<std::string> names;
  for (const auto& [key, value] : dict.entries()) names.push_back(key.as_string());
  return names;
}

TEST(StateDictTest, HasTorchsLayoutWithNoneKept) {
  Params params = two_parameters();
  const auto optimizer = adam_w(params, {.weight_decay = 0.01, .fused = true});
  give_gradients(params, 0);
  optimizer->step();
  const checkpoint::Dict state = optimizer->state_dict();
  EXPECT_THAT(keys(state), ElementsAre("state", "param_groups"));
  const checkpoint::Dict& group = state.at("param_groups").as_list().at(0).as_dict();
  EXPECT_THAT(keys(group), ElementsAre("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize",
                                       "foreach", "capturable", "differentiable", "fused",
                                       "decoupled_weight_decay", "params"));
  EXPECT_TRUE(group.at("foreach").is_none());
  EXPECT_TRUE(group.at("betas").is_tuple());
  EXPECT_EQ(group.at("params").as_list().size(), 2u);
  const checkpoint::Value* first = state.at("state").as_dict().find(std::int64_t{0});
  ASSERT_NE(first, nullptr);
  EXPECT_THAT(keys(first->as_dict()), ElementsAre("step", "exp_avg", "exp_avg_sq"));
  const at::Tensor& step = first->as_dict().at("step").as_tensor();
  EXPECT_EQ(step.dim(), 0);
  EXPECT_EQ(step.scalar_type(), at::kFloat);
  EXPECT_EQ(step.item<float>(), 1.0F);
}

TEST(StateDictTest, LoadedOptimizerGoesOnAsIfNothingHappened) {
  for (const std::optional<bool> fused : {std::optional<bool>(), std::optional<bool>(true)}) {
    const AdamOptions options{.lr = 0.1, .weight_decay = 0.01, .fused = fused};
    Params straight = two_parameters();
    Adam one(straight, options);
    Params resumed = two_parameters();
    auto two = std::make_unique<Adam>(resumed, options);
    for (int step = 0; step < 4; ++step) {
      if (step == 2) {
        const checkpoint::Dict state = two->state_dict();
        two = std::make_unique<Adam>(resumed, AdamOptions{.lr = 5.0});
        two->load_state_dict(state);
      }
      give_gradients(straight, step);
      give_gradients(resumed, step);
      one.step();
      two->step();
    }
    EXPECT_EQ(values(straight), values(resumed));
    EXPECT_EQ(two->param_groups()[0].lr, 0.1);
  }
}

TEST(StateDictTest, MismatchedGroupsAreRefused) {
  Params params = two_parameters();
  const checkpoint::Dict state = SGD(params, {}).state_dict();
  SGD other({params[0]}, {});
  try {
    other.load_state_dict(state);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("doesn't match the size of optimizer's group"));
  }
}

TEST(StateDictTest, OptionsThatAnOlderFileLacksStayAsTheyAre) {
  Params params = two_parameters();
  checkpoint::Dict state = SGD(params, {.lr = 0.5}).state_dict();
  checkpoint::Dict old_group;
  old_group.set("lr", 0.25);
  old_group.set("momentum", 0.5);
  old_group.set("params", state.at("param_groups").as_list().at(0).as_dict().at("params"));
  state.set("param_groups", checkpoint::List{checkpoint::Value(old_group)});
  SGD optimizer(params, {.weight_decay = 0.125});
  optimizer.load_state_dict(state);
  const ParamGroup& group = optimizer.param_groups()[0];
  EXPECT_EQ(group.lr, 0.25);
  EXPECT_EQ(group.options.at("momentum").as_double(), 0.5);
  EXPECT_EQ(group.options.at("weight_decay").as_double(), 0.125);
}

TEST(OptimizerTest, ParametersWithoutGradientAreLeftAlone) {
  Params params = two_parameters();
  Adam optimizer(params, {.lr = 0.1, .fused = true});
  give_gradients(params, 0);
  params[1].mutable_grad().reset();
  optimizer.step();
  EXPECT_EQ(params[1].item<float>(), 0.25F);
  EXPECT_NE(params[0][0].item<float>(), 1.0F);
  EXPECT_EQ(optimizer.state_dict().at("state").as_dict().size(), 1u);
}

TEST(OptimizerTest, ALateFirstGradientStartsItsOwnMomentum) {
  for (const std::optional<bool> fused : {std::optional<bool>(), std::optional<bool>(true)}) {
    Params params = two_parameters();
    SGD optimizer(params, {.lr = 0.1, .momentum = 0.9, .fused = fused});
    give_gradients(params, 0);
    params[1].mutable_grad().reset();
    optimizer.step();
    give_gradients(params, 1);
    optimizer.step();
    EXPECT_NEAR(params[1].item<float>(), 0.25 - 0.1 * 0.3, 1e-7);
  }
}

TEST(OptimizerTest, ZeroGradMakesGradientsUndefined) {
  Params params = two_parameters();
  SGD optimizer(params, {});
  give_gradients(params, 0);
  optimizer.zero_grad();
  EXPECT_FALSE(params[0].grad().defined());
}

TEST(OptimizerTest, GroupsAddedLaterAreStepped) {
  Params params = two_parameters();
  Adam optimizer({params[0]}, {.lr = 0.1});
  give_gradients(params, 0);
  optimizer.step();
  optimizer.add_param_group({params[1]});
  optimizer.step();
  EXPECT_NEAR(params[1].item<float>(), 0.15F, 1e-5);
}

TEST(OptimizerTest, AnAddedGroupHasTheDefaultsAndWhatItIsGiven) {
  Params params = two_parameters();
  SGD optimizer({params[0]}, {.lr = 0.1, .momentum = 0.9});
  optimizer.param_groups()[0].options.set("initial_lr", 0.1);  // a scheduler's
  optimizer.param_groups()[0].lr = 0.05;
  optimizer.add_param_group({params[1]}, std::nullopt, {{"weight_decay", 0.5}});
  const ParamGroup& added = optimizer.param_groups()[1];
  EXPECT_EQ(added.lr, 0.1);
  EXPECT_EQ(added.options.at("momentum").as_double(), 0.9);
  EXPECT_EQ(added.options.at("weight_decay").as_double(), 0.5);
  EXPECT_EQ(added.options.find("initial_lr"), nullptr);
  const checkpoint::Dict state = optimizer.state_dict();
  EXPECT_EQ(state.at("param_groups").as_list()[1].as_dict().entries()[1].key.as_string(),
            "weight_decay");
}

TEST(OptimizerTest, ImpossibleGroupsAreRefusedInTorchsWords) {
  const auto refusal = [](Optimizer& optimizer, const at::Tensor& param) -> std::string {
    try {
      add_param_group(optimizer, {param});
      return "";
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  };
  Params params = two_parameters();
  SGD optimizer({params[0]}, {});
  EXPECT_EQ(refusal(optimizer, params[0]),
            "some parameters appear in more than one parameter group");
  EXPECT_EQ(refusal(optimizer, params[1].mul(2)), "can't optimize a non-leaf Tensor");
  EXPECT_EQ(optimizer.param_groups().size(), 1u);
  LBFGS lbfgs({params[0]}, {});
  EXPECT_EQ(refusal(lbfgs, params[1]),
            "LBFGS doesn't support per-parameter options (parameter groups)");
}

TEST(OptimizerTest, ImpossibleValuesAreRefusedInTorchsWords) {
  const auto refusal = [](const std::function<void()>& make) -> std::string {
    try {
      make();
      return "";
    } catch (const std::exception& error) {
      return error.what();
    }
  };
  const Params params = two_parameters();
  EXPECT_EQ(refusal([&] { SGD(params, {.lr = -1}); }), "Invalid learning rate: -1");
  EXPECT_EQ(refusal([&] { SGD(params, {.nesterov = true}); }),
            "Nesterov momentum requires a momentum and zero dampening");
  EXPECT_EQ(refusal([&] { Adam(params, {.betas = {1.0, 0.9}}); }),
            "Invalid beta parameter at index 0: 1");
  EXPECT_EQ(refusal([&] { Adam(params, {.foreach = true, .fused = true}); }),
            "`fused` and `foreach` cannot be `True` together.");
  EXPECT_EQ(refusal([] { SGD({}, {}); }), "optimizer got an empty parameter list");
}

}  // namespace
}  // namespace lctl
