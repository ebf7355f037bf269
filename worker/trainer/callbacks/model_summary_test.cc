// Expected tables without "?" of ours were printed by Lightning 2.6.6 (torch 2.11.0) for the same
// modules in Python.
#include "worker/trainer/callbacks/model_summary.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/functional.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobspec/config.h"
#include "worker/trainer/core/lightning_module.h"
#include "worker/trainer/models/factory.h"

namespace lctl {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<TrainableModule> declarative(const std::string& init_args) {
  const auto config = jobspec::parse("model: {class_path: Classifier, init_args: {" + init_args +
                                         "}}\ndata: {class_path: SyntheticDataModule}\n",
                                     {.command = jobspec::Command::kValidate});
  if (!config.ok()) throw std::runtime_error(std::string(message_of(config.status())));
  return make_model(config->model, nullptr);
}

std::string summary_of(const std::string& init_args, std::int64_t max_depth) {
  return "\n" + model_summary(*declarative(init_args), max_depth, nullptr) + "\n";
}

constexpr const char* kMlp =
    "layers: [{Linear: {in_features: 8, out_features: 4}}, ReLU, {Dropout: {p: 0.5}}, {Linear: "
    "{in_features: 4, out_features: 3}}]";

TEST(ModelSummaryTest, WithoutAnExampleThereAreNoSizes) {
  EXPECT_EQ(summary_of(kMlp, 1), R"(
  | Name | Type | Params | Mode  | FLOPs
----------------------------------------------
0 | net  | Net  | 51     | train | 0    
----------------------------------------------
51        Trainable params
0         Non-trainable params
51        Total params
0.000     Total estimated model params size (MB)
5         Modules in train mode
0         Modules in eval mode
0         Total Flops
)");
}

TEST(ModelSummaryTest, AnExampleGivesSizesAndOperations) {
  EXPECT_EQ(summary_of(std::string(kMlp) + ", example_input_shape: [1, 8]", -1), R"(
  | Name  | Type    | Params | Mode  | FLOPs | In sizes | Out sizes
-------------------------------------------------------------------------
0 | net   | Net     | 51     | train | 88    | [1, 8]   | [1, 3]   
1 | net.0 | Linear  | 36     | train | 64    | [1, 8]   | [1, 4]   
2 | net.1 | ReLU    | 0      | train | 0     | [1, 4]   | [1, 4]   
3 | net.2 | Dropout | 0      | train | 0     | [1, 4]   | [1, 4]   
4 | net.3 | Linear  | 15     | train | 24    | [1, 4]   | [1, 3]   
-------------------------------------------------------------------------
51        Trainable params
0         Non-trainable params
51        Total params
0.000     Total estimated model params size (MB)
5         Modules in train mode
0         Modules in eval mode
88        Total Flops
)");
}

TEST(ModelSummaryTest, ConvolutionsCountEachPointOfTheirOutput) {
  const std::string text = summary_of(
      "layers: [{Conv2d: {in_channels: 1, out_channels: 4, kernel_size: 3}}, {BatchNorm2d: "
      "{num_features: 4}}, ReLU, {MaxPool2d: {kernel_size: 2}}, Flatten, {Linear: {in_features: "
      "36, "
      "out_features: 2}}], example_input_shape: [2, 1, 8, 8]",
      2);
  EXPECT_THAT(text, HasSubstr(R"(
0 | net   | Net         | 122    | train | 5.5 K | [2, 1, 8, 8] | [2, 2]      
1 | net.0 | Conv2d      | 40     | train | 5.2 K | [2, 1, 8, 8] | [2, 4, 6, 6]
2 | net.1 | BatchNorm2d | 8      | train | 0     | [2, 4, 6, 6] | [2, 4, 6, 6]
3 | net.2 | ReLU        | 0      | train | 0     | [2, 4, 6, 6] | [2, 4, 6, 6]
4 | net.3 | MaxPool2d   | 0      | train | 0     | [2, 4, 6, 6] | [2, 4, 3, 3]
5 | net.4 | Flatten     | 0      | train | 0     | [2, 4, 3, 3] | [2, 36]     
6 | net.5 | Linear      | 74     | train | 288   | [2, 36]      | [2, 2]      
)"));
}

TEST(ModelSummaryTest, TuplesAreListsAndTokensAreIntegers) {
  EXPECT_THAT(
      summary_of("layers: [{Embedding: {num_embeddings: 16, embedding_dim: 8}}, {LSTM: "
                 "{input_size: 8, hidden_size: 6, batch_first: true}}, {Select: {dim: 1, index: "
                 "-1}}, {Linear: {in_features: 6, out_features: 4}}], example_input_shape: [2, 5]",
                 -1),
      HasSubstr(R"(
0 | net   | Net       | 540    | train | 96    | [2, 5]    | [2, 4]                             
1 | net.0 | Embedding | 128    | train | 0     | [2, 5]    | [2, 5, 8]                          
2 | net.1 | LSTM      | 384    | train | 0     | [2, 5, 8] | [[2, 5, 6], [[1, 2, 6], [1, 2, 6]]]
3 | net.2 | Select    | 0      | train | 0     | [2, 5, 6] | [2, 6]                             
4 | net.3 | Linear    | 28     | train | 96    | [2, 6]    | [2, 4]                             
)"));
  EXPECT_THAT(summary_of("layers: [{GRU: {input_size: 8, hidden_size: 6, bidirectional: true, "
                         "num_layers: 2}}, {Linear: {in_features: 12, out_features: 4}}], "
                         "example_input_shape: [5, 2, 8]",
                         -1),
              HasSubstr(R"(
0 | net   | Net    | 1.3 K  | train | 24.0 K | [5, 2, 8]  | [5, 2, 4]              
1 | net.0 | GRU    | 1.3 K  | train | 23.0 K | [5, 2, 8]  | [[5, 2, 12], [4, 2, 6]]
)"));
}

std::string transformer(const std::string& more) {
  return "layers: [{TransformerEncoderLayer: {d_model: 8, nhead: 2, dim_feedforward: 16" + more +
         "}}, {Linear: {in_features: 8, out_features: 4}}], example_input_shape: [2, 5, 8]";
}

// The fused kernel costs nothing for torch's counter; looking inside switches it off.
TEST(ModelSummaryTest, ATransformersFusedKernelGivesWayToALookInside) {
  EXPECT_THAT(summary_of(transformer(", batch_first: true"), 1),
              HasSubstr("0 | net  | Net  | 636    | train | 640   | [2, 5, 8] | [2, 5, 4]"));
  EXPECT_THAT(summary_of(transformer(", batch_first: true"), -1), HasSubstr(R"(
0  | net                      | Net                             | 636    | train | 5.8 K | [2, 5, 8]                                             | [2, 5, 4]       
1  | net.0                    | TransformerEncoderLayer         | 600    | train | 5.1 K | [2, 5, 8]                                             | [2, 5, 8]       
2  | net.0.self_attn          | MultiheadAttention              | 288    | train | 0     | [[2, 5, 8], [2, 5, 8], [2, 5, 8], '?', '?', '?', '?'] | [[2, 5, 8], '?']
3  | net.0.self_attn.out_proj | NonDynamicallyQuantizableLinear | 72     | train | 0     | ?                                                     | ?               
4  | net.0.linear1            | Linear                          | 144    | train | 2.6 K | [2, 5, 8]                                             | [2, 5, 16]      
5  | net.0.dropout            | Dropout                         | 0      | train | 0     | [2, 5, 16]                                            | [2, 5, 16]      
6  | net.0.linear2            | Linear                          | 136    | train | 2.6 K | [2, 5, 16]                                            | [2, 5, 8]       
7  | net.0.norm1              | LayerNorm                       | 16     | train | 0     | [2, 5, 8]                                             | [2, 5, 8]       
8  | net.0.norm2              | LayerNorm                       | 16     | train | 0     | [2, 5, 8]                                             | [2, 5, 8]       
9  | net.0.dropout1           | Dropout                         | 0      | train | 0     | [2, 5, 8]                                             | [2, 5, 8]       
10 | net.0.dropout2           | Dropout                         | 0      | train | 0     | [2, 5, 8]                                             | [2, 5, 8]       
11 | net.1                    | Linear                          | 36     | train | 640   | [2, 5, 8]                                             | [2, 5, 4]       
)"));
  EXPECT_THAT(
      summary_of(transformer(""), 3),
      HasSubstr("2  | net.0.self_attn | MultiheadAttention      | 288    | train | 5.1 K  |"));
}

// ---- models in C++

class Model final : public LightningModule {
 public:
  using Forward = std::function<at::Tensor(Model&, const at::Tensor&)>;
  explicit Model(Forward forward) : LightningModule("Model"), forward_(std::move(forward)) {}
  at::Tensor forward(const at::Tensor& x) override { return forward_(*this, x); }

 private:
  Forward forward_;
};

TEST(ModelSummaryTest, OperatorsBelongToTheModulesWhoseParametersTheyRead) {
  Model model([](Model& self, const at::Tensor& x) {
    return self.named_children()["l"]->as<torch::nn::Linear>()->forward(
        x.matmul(self.named_parameters(false)["w"]));
  });
  model.register_parameter("w", at::ones({3, 4}));
  model.register_module("l", torch::nn::Linear(4, 2));
  model.register_module("unused", torch::nn::Linear(200, 200))->eval();
  model.example_input_array = at::zeros({2, 3});
  EXPECT_EQ("\n" + model_summary(model, 1, nullptr) + "\n", R"(
  | Name         | Type   | Params | Mode  | FLOPs | In sizes | Out sizes
-------------------------------------------------------------------------------
0 | l            | Linear | 10     | train | 32    | [2, 4]   | [2, 2]   
1 | unused       | Linear | 40.2 K | eval  | 0     | ?        | ?        
  | other params | n/a    | 12     | n/a   | n/a   | n/a      | n/a      
-------------------------------------------------------------------------------
40.2 K    Trainable params
0         Non-trainable params
40.2 K    Total params
0.161     Total estimated model params size (MB)
1         Modules in train mode
1         Modules in eval mode
80        Total Flops
)");
  EXPECT_TRUE(model.is_training());
}

TEST(ModelSummaryTest, ASequentialAndItsModulesWithoutParametersFollowTheChain) {
  Model model([](Model& self, const at::Tensor& x) {
    return self.named_children()["net"]->as<torch::nn::Sequential>()->forward(x);
  });
  model.register_module("net",
                        torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 4, 3)),
                                              torch::nn::BatchNorm2d(4), torch::nn::ReLU(),
                                              torch::nn::MaxPool2d(2), torch::nn::Flatten(),
                                              torch::nn::Dropout(0.5), torch::nn::Linear(36, 2)));
  model.example_input_array = at::zeros({2, 1, 8, 8});
  EXPECT_THAT(model_summary(model, -1, nullptr), HasSubstr(R"(
0 | net   | Sequential  | 122    | train | 5.5 K | [2, 1, 8, 8] | [2, 2]      
1 | net.0 | Conv2d      | 40     | train | 5.2 K | [2, 1, 8, 8] | [2, 4, 6, 6]
2 | net.1 | BatchNorm2d | 8      | train | 0     | [2, 4, 6, 6] | [2, 4, 6, 6]
3 | net.2 | ReLU        | 0      | train | 0     | [2, 4, 6, 6] | [2, 4, 6, 6]
4 | net.3 | MaxPool2d   | 0      | train | 0     | [2, 4, 6, 6] | [2, 4, 3, 3]
5 | net.4 | Flatten     | 0      | train | 0     | [2, 4, 3, 3] | [2, 36]     
6 | net.5 | Dropout     | 0      | train | 0     | [2, 36]      | [2, 36]     
7 | net.6 | Linear      | 74     | train | 288   | [2, 36]      | [2, 2]      
)"));
}

TEST(ModelSummaryTest, WhatIsNotCertainIsAQuestionMark) {
  Model model([](Model& self, const at::Tensor& x) {
    auto net = self.named_children()["net"]->as<torch::nn::Sequential>();
    // Not as a Sequential calls them: something happens in between.
    const at::Tensor y = net->ptr(0)->as<torch::nn::Linear>()->forward(x).mul(2);
    return net->ptr(1)->as<torch::nn::Linear>()->forward(y).mm(at::ones({2, 3}));
  });
  model.register_module("net",
                        torch::nn::Sequential(torch::nn::Linear(4, 5), torch::nn::Linear(5, 2)));
  model.example_input_array = at::zeros({2, 4});
  EXPECT_THAT(model_summary(model, -1, nullptr), HasSubstr(R"(
0 | net   | Sequential | 37     | train | ?     | ?        | ?        
1 | net.0 | Linear     | 25     | train | 80    | [2, 4]   | [2, 5]   
2 | net.1 | Linear     | 12     | train | 40    | [2, 5]   | [2, 2]   
)"));
}

struct Tied final : torch::nn::Module {
  explicit Tied(const at::Tensor& shared) { weight = register_parameter("weight", shared); }
  at::Tensor weight;
};

TEST(ModelSummaryTest, AnOperatorOfSharedWeightsBelongsToNobody) {
  Model model([](Model& self, const at::Tensor& x) {
    return at::linear(x, self.named_children()["b"]->as<Tied>()->weight);
  });
  const auto linear =
      model.register_module("a", torch::nn::Linear(torch::nn::LinearOptions(4, 4).bias(false)));
  model.register_module("b", std::make_shared<Tied>(linear->weight));
  model.example_input_array = at::zeros({2, 4});
  EXPECT_THAT(model_summary(model, 1, nullptr), HasSubstr(R"(
0 | a    | Linear | 16     | train | ?     | ?        | ?        
1 | b    | Tied   | 16     | train | ?     | ?        | ?        
)"));
}

TEST(ModelSummaryTest, ModesAndGeneratorAreLeftAlone) {
  Model model([](Model& self, const at::Tensor& x) {
    return self.named_children()["d"]->as<torch::nn::Dropout>()->forward(x);
  });
  model.register_module("d", torch::nn::Dropout(0.5));
  model.register_module("frozen", torch::nn::Dropout(0.5))->eval();
  model.example_input_array = at::ones({4});
  at::manual_seed(3);
  const at::Tensor expected = at::rand({3});
  at::manual_seed(3);
  model_summary(model, 1, nullptr);
  EXPECT_TRUE(at::rand({3}).equal(expected));
  EXPECT_TRUE(model.named_children()["d"]->is_training());
  EXPECT_FALSE(model.named_children()["frozen"]->is_training());
  EXPECT_TRUE(at::GradMode::is_enabled());
}

TEST(ModelSummaryTest, WhatTheForwardThrowsPassesThrough) {
  Model model([](Model&, const at::Tensor&) -> at::Tensor { throw std::runtime_error("no"); });
  model.example_input_array = at::ones({4});
  EXPECT_THROW(model_summary(model, 1, nullptr), std::runtime_error);
  EXPECT_TRUE(model.is_training());
}

TEST(ModelSummaryTest, CountsHaveCommasBeyondTrillions) {
  EXPECT_EQ(human_readable_count(0), "0  ");
  EXPECT_EQ(human_readable_count(999), "999  ");
  EXPECT_EQ(human_readable_count(1000), "1.0 K");
  EXPECT_EQ(human_readable_count(99'999), "100.0 K");
  EXPECT_EQ(human_readable_count(3'000'000'000), "3.0 B");
  EXPECT_EQ(human_readable_count(5'000'000'000'000'000), "5,000 T");
}

}  // namespace
}  // namespace lctl
