// Expected numbers are those of torch 2.11 in Python: torch.manual_seed(3), the layer, its output
// in training mode for the input of input(), and the next draw of the generator.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobspec/config.h"
#include "jobspec/keys/key_table.h"
#include "worker/trainer/models/layer.h"

namespace lctl {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* layer;                // as in a job file
  std::vector<std::int64_t> shape;  // of the input; empty = tokens
  const char* state;                // names and shapes, in the order of state_dict
  const char* output_shape;
  double output;  // sum of output[i] * cos(i)
  std::int64_t next_draw;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"Linear: {in_features: 4, out_features: 3}",
       {2, 4},
       "weight[3,4] bias[3]",
       "[2, 3]",
       0.49898310344370217,
       4572732061138089079},
      {"Linear: {in_features: 4, out_features: 3, bias: false}",
       {2, 4},
       "weight[3,4]",
       "[2, 3]",
       0.4322549533358183,
       2316640183508190889},
      {"Conv1d: {in_channels: 2, out_channels: 3, kernel_size: 3, padding: 1}",
       {2, 2, 5},
       "weight[3,2,3] bias[3]",
       "[2, 3, 5]",
       -1.0695097088726304,
       2681605907446695335},
      {"Conv2d: {in_channels: 2, out_channels: 4, kernel_size: [3, 2], stride: 2, padding: [1, 0], "
       "groups: 2}",
       {2, 2, 5, 5},
       "weight[4,1,3,2] bias[4]",
       "[2, 4, 3, 2]",
       2.377422036239216,
       3251329097462014786},
      {"Conv2d: {in_channels: 2, out_channels: 4, kernel_size: 3, padding: same, padding_mode: "
       "circular, bias: false}",
       {2, 2, 5, 5},
       "weight[4,2,3,3]",
       "[2, 4, 5, 5]",
       0.9931512961254789,
       2829931582230489253},
      {"Conv3d: {in_channels: 1, out_channels: 2, kernel_size: 2, dilation: 2}",
       {1, 1, 4, 4, 4},
       "weight[2,1,2,2,2] bias[2]",
       "[1, 2, 2, 2, 2]",
       -0.8616519781444509,
       8131506278483621524},
      {"BatchNorm1d: {num_features: 4}",
       {3, 4},
       "weight[4] bias[4] running_mean[4] running_var[4] num_batches_tracked[]",
       "[3, 4]",
       -0.318216330129125,
       937055941807507096},
      {"BatchNorm2d: {num_features: 2, momentum: null}",
       {3, 2, 2, 2},
       "weight[2] bias[2] running_mean[2] running_var[2] num_batches_tracked[]",
       "[3, 2, 2, 2]",
       0.6630143175073676,
       937055941807507096},
      {"InstanceNorm2d: {num_features: 2, affine: true}",
       {3, 2, 2, 2},
       "weight[2] bias[2]",
       "[3, 2, 2, 2]",
       -0.7381309312185772,
       937055941807507096},
      {"LayerNorm: {normalized_shape: [2, 2]}",
       {3, 2, 2},
       "weight[2,2] bias[2,2]",
       "[3, 2, 2]",
       -0.5651890828115538,
       937055941807507096},
      {"LayerNorm: {normalized_shape: 4, bias: false}",
       {3, 4},
       "weight[4]",
       "[3, 4]",
       -0.5651890828115538,
       937055941807507096},
      {"GroupNorm: {num_groups: 2, num_channels: 4}",
       {3, 4, 2},
       "weight[4] bias[4]",
       "[3, 4, 2]",
       -0.7381310179872352,
       937055941807507096},
      {"RMSNorm: {normalized_shape: 4}",
       {3, 4},
       "weight[4]",
       "[3, 4]",
       0.7665463727563255,
       937055941807507096},
      {"MaxPool1d: {kernel_size: 2}",
       {1, 2, 6},
       "",
       "[1, 2, 3]",
       0.5316763654170744,
       937055941807507096},
      {"MaxPool2d: {kernel_size: 2, stride: 1, ceil_mode: true}",
       {1, 2, 4, 4},
       "",
       "[1, 2, 3, 3]",
       0.5592339139585047,
       937055941807507096},
      {"AvgPool1d: {kernel_size: 2}",
       {1, 2, 6},
       "",
       "[1, 2, 3]",
       0.6458327829821585,
       937055941807507096},
      {"AvgPool2d: {kernel_size: [2, 3], padding: 1, count_include_pad: false}",
       {1, 2, 4, 4},
       "",
       "[1, 2, 3, 2]",
       -0.6441532744311128,
       937055941807507096},
      {"AdaptiveAvgPool1d: {output_size: 2}",
       {1, 2, 5},
       "",
       "[1, 2, 2]",
       0.7055607584917264,
       937055941807507096},
      {"AdaptiveAvgPool2d: {output_size: [1, 2]}",
       {1, 2, 4, 4},
       "",
       "[1, 2, 1, 2]",
       0.2222151957479315,
       937055941807507096},
      {"AdaptiveMaxPool2d: {output_size: 2}",
       {1, 2, 5, 5},
       "",
       "[1, 2, 2, 2]",
       1.8227529395223727,
       937055941807507096},
      {"Embedding: {num_embeddings: 8, embedding_dim: 3, padding_idx: 1}",
       {},
       "weight[8,3]",
       "[2, 4, 3]",
       1.5289209869250664,
       5230114705677067882},
      {"LSTM: {input_size: 3, hidden_size: 2, num_layers: 2, bidirectional: true, batch_first: "
       "true}",
       {2, 4, 3},
       "weight_ih_l0[8,3] weight_hh_l0[8,2] bias_ih_l0[8] bias_hh_l0[8] "
       "weight_ih_l0_reverse[8,3] weight_hh_l0_reverse[8,2] bias_ih_l0_reverse[8] "
       "bias_hh_l0_reverse[8] weight_ih_l1[8,4] weight_hh_l1[8,2] bias_ih_l1[8] bias_hh_l1[8] "
       "weight_ih_l1_reverse[8,4] weight_hh_l1_reverse[8,2] bias_ih_l1_reverse[8] "
       "bias_hh_l1_reverse[8]",
       "[2, 4, 4]",
       0.012487468304342067,
       3862256596315929340},
      {"LSTM: {input_size: 3, hidden_size: 4, proj_size: 2}",
       {4, 2, 3},
       "weight_ih_l0[16,3] weight_hh_l0[16,2] bias_ih_l0[16] bias_hh_l0[16] weight_hr_l0[2,4]",
       "[4, 2, 2]",
       0.1748563067084401,
       6891705780916088411},
      {"GRU: {input_size: 3, hidden_size: 2, bias: false}",
       {4, 2, 3},
       "weight_ih_l0[6,3] weight_hh_l0[6,2]",
       "[4, 2, 2]",
       -0.1252818077385428,
       1676123025684963263},
      {"RNN: {input_size: 3, hidden_size: 2, nonlinearity: relu, num_layers: 2, dropout: 0.5}",
       {4, 2, 3},
       "weight_ih_l0[2,3] weight_hh_l0[2,2] bias_ih_l0[2] bias_hh_l0[2] weight_ih_l1[2,2] "
       "weight_hh_l1[2,2] bias_ih_l1[2] bias_hh_l1[2]",
       "[4, 2, 2]",
       0.20461904872835285,
       8049857564311485940},
      {"Dropout: {p: 0.3}", {3, 4}, "", "[3, 4]", 0.19679286697009868, 2751222150843076122},
      {"Dropout: {p: 0.3, inplace: true}",
       {3, 4},
       "",
       "[3, 4]",
       0.19679286697009868,
       2751222150843076122},
      {"Dropout1d: {p: 0.5}", {3, 4, 2}, "", "[3, 4, 2]", 0.6594527953840525, 2751222150843076122},
      {"Dropout2d: {p: 0.5}",
       {3, 4, 2, 2},
       "",
       "[3, 4, 2, 2]",
       -1.8493915050222078,
       2751222150843076122},
      {"Flatten", {2, 3, 2}, "", "[2, 6]", 0.5189875511679718, 937055941807507096},
      {"Unflatten: {dim: 1, unflattened_size: [2, 2]}",
       {3, 4},
       "",
       "[3, 2, 2]",
       0.5189875511679718,
       937055941807507096},
      {"Identity", {2, 2}, "", "[2, 2]", 0.8138355456487232, 937055941807507096},
      {"ReLU", {2, 5}, "", "[2, 5]", 0.4831242430922556, 937055941807507096},
      {"ReLU: {inplace: true}", {2, 5}, "", "[2, 5]", 0.4831242430922556, 937055941807507096},
      {"ReLU6", {2, 5}, "", "[2, 5]", 0.4831242430922556, 937055941807507096},
      {"LeakyReLU: {negative_slope: 0.2}",
       {2, 5},
       "",
       "[2, 5]",
       0.5746466290714236,
       937055941807507096},
      {"ELU: {alpha: 0.5}", {2, 5}, "", "[2, 5]", 0.5852302376861607, 937055941807507096},
      {"CELU", {2, 5}, "", "[2, 5]", 0.6873362322800659, 937055941807507096},
      {"SELU", {2, 5}, "", "[2, 5]", 0.8666440174209913, 937055941807507096},
      {"PReLU: {num_parameters: 5}",
       {2, 5},
       "weight[5]",
       "[2, 5]",
       0.5975272234942475,
       937055941807507096},
      {"GELU", {2, 5}, "", "[2, 5]", 0.4256705079104306, 937055941807507096},
      {"GELU: {approximate: tanh}", {2, 5}, "", "[2, 5]", 0.425706348421829, 937055941807507096},
      {"SiLU", {2, 5}, "", "[2, 5]", 0.4334281071255499, 937055941807507096},
      {"Mish", {2, 5}, "", "[2, 5]", 0.49698985023586817, 937055941807507096},
      {"Sigmoid", {2, 5}, "", "[2, 5]", 0.41359002216830065, 937055941807507096},
      {"LogSigmoid", {2, 5}, "", "[2, 5]", 0.19912550137885499, 937055941807507096},
      {"Tanh", {2, 5}, "", "[2, 5]", 0.581384529965806, 937055941807507096},
      {"Hardtanh: {min_val: -0.5}", {2, 5}, "", "[2, 5]", 0.3548999109947524, 937055941807507096},
      {"Hardsigmoid", {2, 5}, "", "[2, 5]", 0.36760122731415495, 937055941807507096},
      {"Hardswish", {2, 5}, "", "[2, 5]", 0.43856879851310954, 937055941807507096},
      {"Softplus: {beta: 2.0}", {2, 5}, "", "[2, 5]", 0.5859832697101366, 937055941807507096},
      {"Softsign", {2, 5}, "", "[2, 5]", 0.35936527871521534, 937055941807507096},
      {"Tanhshrink", {2, 5}, "", "[2, 5]", 0.3593516347344171, 937055941807507096},
      {"Softshrink", {2, 5}, "", "[2, 5]", 0.717641159793561, 937055941807507096},
      {"Hardshrink", {2, 5}, "", "[2, 5]", 1.5083978653848558, 937055941807507096},
      {"Threshold: {threshold: 0.1, value: 7.0}",
       {2, 5},
       "",
       "[2, 5]",
       1.8635920018312486,
       937055941807507096},
      {"Softmax", {2, 5}, "", "[2, 5]", 0.37504129580058465, 937055941807507096},
      {"Softmax: {dim: 0}", {2, 5}, "", "[2, 5]", 0.30408137458146156, 937055941807507096},
      {"LogSoftmax", {2, 5}, "", "[2, 5]", 0.6308822762012063, 937055941807507096},
      {"Softmin", {2, 5}, "", "[2, 5]", -0.17788554468796805, 937055941807507096},
      {"GLU", {2, 6}, "", "[2, 3]", 0.16985983964651663, 937055941807507096},
      {"TransformerEncoderLayer: {d_model: 4, nhead: 2, dim_feedforward: 6}",
       {3, 2, 4},
       "self_attn.in_proj_weight[12,4] self_attn.in_proj_bias[12] self_attn.out_proj.weight[4,4] "
       "self_attn.out_proj.bias[4] linear1.weight[6,4] linear1.bias[6] linear2.weight[4,6] "
       "linear2.bias[4] norm1.weight[4] norm1.bias[4] norm2.weight[4] norm2.bias[4]",
       "[3, 2, 4]",
       1.2041997603223629,
       8273874737828713677},
      {"TransformerEncoderLayer: {d_model: 6, nhead: 3, dim_feedforward: 5, dropout: 0.0, "
       "activation: gelu, batch_first: true, norm_first: true, bias: false}",
       {2, 3, 6},
       "self_attn.in_proj_weight[18,6] self_attn.out_proj.weight[6,6] linear1.weight[5,6] "
       "linear2.weight[6,5] norm1.weight[6] norm2.weight[6]",
       "[2, 3, 6]",
       0.6443484099216331,
       5256154373638424062},
      {"TransformerEncoderLayer: {d_model: 4, nhead: 2, dim_feedforward: 6, dropout: 0.5}",
       {3, 4},
       "self_attn.in_proj_weight[12,4] self_attn.in_proj_bias[12] self_attn.out_proj.weight[4,4] "
       "self_attn.out_proj.bias[4] linear1.weight[6,4] linear1.bias[6] linear2.weight[4,6] "
       "linear2.bias[4] norm1.weight[4] norm1.bias[4] norm2.weight[4] norm2.bias[4]",
       "[3, 4]",
       1.0266893810242128,
       8835590090510218180},
  };
  return all;
}

jobspec::ClassSpec spec_of(const std::string& layer) {
  const std::string text = "model: {class_path: Classifier, init_args: {layers: [" +
                           (layer.find(':') == std::string::npos ? layer : "{" + layer + "}") +
                           "]}}\ndata: {class_path: SyntheticDataModule}\n";
  const auto config = jobspec::parse(text, {.command = jobspec::Command::kValidate});
  if (!config.ok()) throw std::runtime_error(std::string(message_of(config.status())));
  return config->model.children.at(0);
}

at::Tensor input(const std::vector<std::int64_t>& shape) {
  if (shape.empty()) return at::arange(8, at::kLong).view({2, 4});
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return at::arange(count, at::kLong)
      .mul(7)
      .add(3)
      .remainder(11)
      .to(at::kFloat)
      .sub(5)
      .div(4)
      .view(shape);
}

std::string shape_text(const at::Tensor& tensor, const char* comma) {
  std::string text = "[";
  for (const std::int64_t size : tensor.sizes())
    text += (text.size() > 1 ? comma : "") + std::to_string(size);
  return text + "]";
}

std::string state_text(const torch::nn::Module& module) {
  std::string text;
  const auto add = [&text](const std::string& name, const at::Tensor& tensor) {
    if (tensor.defined()) text += (text.empty() ? "" : " ") + name + shape_text(tensor, ",");
  };
  for (const auto& item : module.named_parameters()) add(item.key(), item.value());
  for (const auto& item : module.named_buffers()) add(item.key(), item.value());
  return text;
}

double weighted_sum(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous().view(-1);
  double sum = 0;
  for (std::int64_t i = 0; i < flat.numel(); ++i)
    sum += flat[i].item<double>() * std::cos(static_cast<double>(i));
  return sum;
}

TEST(LayersTest, StateOutputAndDrawsAreTorchs) {
  for (const Case& each : cases()) {
    at::manual_seed(3);
    const Layer layer = make_layer(spec_of(each.layer), "layers.0");
    EXPECT_EQ(state_text(*layer.module), each.state) << each.layer;
    const at::Tensor output = layer.forward(input(each.shape));
    EXPECT_EQ(shape_text(output, ", "), each.output_shape) << each.layer;
    EXPECT_NEAR(weighted_sum(output), each.output, 1e-5) << each.layer;
    const at::Tensor draw = at::empty({}, at::TensorOptions().dtype(at::kLong)).random_();
    EXPECT_EQ(draw.item<std::int64_t>(), each.next_draw) << each.layer;
  }
}

// One fused kernel, as in Python: other bits than the operations one by one.
TEST(LayersTest, TransformerEncoderEvaluatesAsTorch) {
  at::manual_seed(3);
  const Layer layer = make_layer(
      spec_of("TransformerEncoderLayer: {d_model: 4, nhead: 2, dim_feedforward: 6, batch_first: "
              "true}"),
      "layers.0");
  layer.module->eval();
  const at::Tensor slow = layer.forward(input({2, 3, 4}));
  const at::NoGradGuard no_grad;
  const at::Tensor fast = layer.forward(input({2, 3, 4}));
  EXPECT_NEAR(weighted_sum(fast), 0.14651607297542835, 1e-6);
  EXPECT_TRUE(fast.allclose(slow, 1e-5, 1e-6));
}

TEST(LayersTest, DropoutDoesNothingInEvaluation) {
  const Layer layer = make_layer(spec_of("Dropout: {p: 0.5}"), "layers.0");
  layer.module->eval();
  const at::Tensor x = input({3, 4});
  EXPECT_TRUE(layer.forward(x).equal(x));
}

TEST(LayersTest, SelectTakesTheLastStep) {
  const Layer layer = make_layer(spec_of("Select: {dim: 1, index: -1}"), "layers.0");
  const at::Tensor x = input({2, 3, 4});
  EXPECT_TRUE(layer.forward(x).equal(x.select(1, 2)));
}

TEST(LayersTest, TransposeSwapsTwoDimensions) {
  const Layer layer = make_layer(spec_of("Transpose: {dim0: 1, dim1: 2}"), "layers.0");
  const at::Tensor x = input({2, 3, 4});
  EXPECT_TRUE(layer.forward(x).equal(x.transpose(1, 2)));
}

TEST(LayersTest, NamesInSummariesAreTorchs) {
  EXPECT_EQ(make_layer(spec_of("ReLU"), "").module->name(), "ReLU");
  EXPECT_EQ(make_layer(spec_of("LayerNorm: {normalized_shape: 4}"), "").module->name(),
            "LayerNorm");
}

std::string refusal(const std::string& layer) {
  try {
    make_layer(spec_of(layer), "model.init_args.layers.1");
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(LayersTest, ArgumentsThatDoNotGoTogetherAreRefusedWithTheKey) {
  EXPECT_EQ(refusal("GroupNorm: {num_groups: 3, num_channels: 4}"),
            "model.init_args.layers.1: num_channels (4) must be divisible by num_groups (3)");
  EXPECT_EQ(refusal("TransformerEncoderLayer: {d_model: 5, nhead: 2}"),
            "model.init_args.layers.1: d_model (5) must be divisible by nhead (2)");
  EXPECT_THAT(refusal("Conv2d: {in_channels: 1, out_channels: 1, kernel_size: [1, 2, 3]}"),
              HasSubstr("kernel_size must be one number or 2, not 3"));
  EXPECT_THAT(refusal("Conv2d: {in_channels: 1, out_channels: 1, kernel_size: 1, padding: most}"),
              HasSubstr("Invalid padding string 'most'"));
  EXPECT_THAT(refusal("Conv2d: {in_channels: 3, out_channels: 4, kernel_size: 1, groups: 2}"),
              HasSubstr("model.init_args.layers.1: "));
}

// The server refuses what this list does not have, and nothing else.
TEST(LayersTest, KeyTableAndFactoryNameTheSameLayers) {
  std::vector<std::string_view> known = jobspec::keys::available_names(jobspec::keys::Kind::kLayer);
  std::vector<std::string_view> built = layer_names();
  std::sort(known.begin(), known.end());
  std::sort(built.begin(), built.end());
  EXPECT_EQ(known, built);
}

}  // namespace
}  // namespace lctl
