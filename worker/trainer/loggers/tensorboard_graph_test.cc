#include "worker/trainer/loggers/tensorboard_graph.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;

struct BlockImpl : torch::nn::Module {
  BlockImpl() {
    linear = register_module("linear", torch::nn::Linear(2, 3));
    norm = register_module("norm", torch::nn::BatchNorm1d(3));
    dropout = register_module("dropout", torch::nn::Dropout(0.5));
  }
  torch::nn::Linear linear{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
  torch::nn::Dropout dropout{nullptr};
};
TORCH_MODULE(Block);

struct Model : torch::nn::Module {
  Model() {
    block = register_module("net", Block());
    scale = register_parameter("scale", at::ones({3}));
  }
  at::Tensor forward(const at::Tensor& x) {
    return block->dropout(block->norm(block->linear(x)).relu()) * scale;
  }
  Block block{nullptr};
  at::Tensor scale;
};

tensorboard::GraphDef graph_of(Model& model) {
  return traced_graph(
      model, [&](const Batch& x) { return Batch(model.forward(x.tensor())); }, at::ones({4, 2}));
}

const tensorboard::NodeDef& node_of(const tensorboard::GraphDef& graph, const std::string& op) {
  for (const tensorboard::NodeDef& node : graph.node()) {
    if (node.op() == op) return node;
  }
  throw std::out_of_range("no node of " + op);
}

// Without the number or name that the tracer gave the value.
std::string scope_of(const std::string& name) { return name.substr(0, name.rfind('/')); }

std::vector<std::int64_t> shape_of(const tensorboard::NodeDef& node) {
  std::vector<std::int64_t> sizes;
  for (const auto& dim : node.attr().at("_output_shapes").list().shape(0).dim())
    sizes.push_back(dim.size());
  return sizes;
}

TEST(TracedGraphTest, OperationsStandWithTheModulesOfTheirParameters) {
  Model model;
  const tensorboard::GraphDef graph = graph_of(model);
  const tensorboard::NodeDef& linear = node_of(graph, "aten::addmm");
  EXPECT_EQ(scope_of(linear.name()), "Model/Block[net]/Linear[linear]");
  EXPECT_THAT(std::vector<std::string>(linear.input().begin(), linear.input().begin() + 3),
              ElementsAre(::testing::StartsWith("Model/Block[net]/Linear[linear]/bias/"), "input/x",
                          node_of(graph, "aten::t").name()));
  EXPECT_THAT(node_of(graph, "aten::t").input(0),
              ::testing::StartsWith("Model/Block[net]/Linear[linear]/weight/"));
  EXPECT_THAT(shape_of(linear), ElementsAre(4, 3));
  EXPECT_EQ(scope_of(node_of(graph, "aten::batch_norm").name()),
            "Model/Block[net]/BatchNorm1d[norm]");
  EXPECT_EQ(scope_of(node_of(graph, "aten::relu").name()), "Model");
  const tensorboard::NodeDef& product = node_of(graph, "aten::mul");
  EXPECT_EQ(product.input(1).substr(0, 12), "Model/scale/");
}

TEST(TracedGraphTest, StartsWithTheInputAndTheOutput) {
  Model model;
  const tensorboard::GraphDef graph = graph_of(model);
  EXPECT_EQ(graph.versions().producer(), 22);
  EXPECT_EQ(graph.node(0).op(), "IO Node");
  EXPECT_THAT(shape_of(graph.node(0)), ElementsAre(4, 2));
  const tensorboard::NodeDef& output = graph.node(1);
  EXPECT_EQ(output.name(), "output/output.1");
  EXPECT_EQ(output.input(0), node_of(graph, "aten::mul").name());
  EXPECT_EQ(node_of(graph, "prim::GetAttr").attr().at("attr").s().substr(0, 10), "{ name :  ");
}

TEST(TracedGraphTest, EachInputIsANodeOfTheGraph) {
  Model model;
  const tensorboard::GraphDef graph = graph_of(model);
  std::vector<std::string> names;
  for (const tensorboard::NodeDef& node : graph.node()) names.push_back(node.name());
  for (const tensorboard::NodeDef& node : graph.node()) {
    for (const std::string& input : node.input()) EXPECT_THAT(names, ::testing::Contains(input));
  }
}

TEST(TracedGraphTest, TheModelStaysAsItWas) {
  Model model;
  model.block->norm->eval();
  const at::Tensor mean = model.block->norm->running_mean.clone();
  graph_of(model);
  EXPECT_TRUE(model.is_training());
  EXPECT_TRUE(model.block->dropout->is_training());
  EXPECT_FALSE(model.block->norm->is_training());
  EXPECT_TRUE(at::equal(model.block->norm->running_mean, mean));
  EXPECT_TRUE(model.scale.requires_grad());
}

TEST(TracedGraphTest, WhatTheModelThrowsPassesThrough) {
  Model model;
  const auto failing = [](const Batch&) -> Batch { throw std::runtime_error("no"); };
  EXPECT_THROW(traced_graph(model, failing, at::ones({1, 2})), std::runtime_error);
  EXPECT_TRUE(model.is_training());
  EXPECT_EQ(graph_of(model).versions().producer(), 22);
}

TEST(TracedGraphTest, SeveralInputsAndOutputsAreNodesOfTheirOwn) {
  Model model;
  const auto forward = [&](const Batch& inputs) {
    const auto [x, y] = inputs.tensors<2>();
    return Batch(Batch::List{model.forward(x) + y, y});
  };
  const tensorboard::GraphDef graph =
      traced_graph(model, forward, Batch(Batch::List{at::ones({4, 2}), at::ones({4, 3})}));
  EXPECT_EQ(graph.node(0).name(), "input/x");
  EXPECT_EQ(graph.node(1).name(), "input/x1");
  EXPECT_THAT(shape_of(graph.node(1)), ElementsAre(4, 3));
  EXPECT_EQ(graph.node(2).name(), "output/output.1");
  EXPECT_EQ(graph.node(3).input(0), "input/x1");
  EXPECT_THROW(traced_graph(model, forward, Batch()), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
