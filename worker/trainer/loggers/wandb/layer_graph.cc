#include "worker/trainer/loggers/wandb/layer_graph.h"

#include <torch/nn/module.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <utility>
#include <vector>

#include "worker/trainer/core/class_name.h"
#include "worker/trainer/core/forward_observer.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl::wandb {
namespace {

using Json = nlohmann::ordered_json;
using Names = std::map<const torch::nn::Module*, std::string>;

bool is_container(const torch::nn::Module& module) {
  const std::string type = class_name_of(typeid(module));
  return type == "Net" || type == "SequentialImpl" || type == "ModuleListImpl" ||
         type == "ModuleDictImpl";
}

void name_layers(const torch::nn::Module& module, const std::string& prefix, Names& names) {
  for (const auto& child : module.named_children()) {
    const std::string name = prefix.empty() ? child.key() : prefix + "." + child.key();
    if (is_container(*child.value())) {
      name_layers(*child.value(), name, names);
    } else {
      names.emplace(child.value().get(), name);
    }
  }
}

// str(module): LibTorch's text in Python's spelling; of modules that have none (some of the
// declarative ones) the class alone.
std::string python_text(const torch::nn::Module& module) {
  std::ostringstream out;
  module.pretty_print(out);
  std::string text = std::regex_replace(out.str(), std::regex("torch::nn::"), "");
  text = std::regex_replace(text, std::regex("=true\\b"), "=True");
  return std::regex_replace(text, std::regex("=false\\b"), "=False");
}

Json shape_of(const Batch& output) {
  if (output.is_tensor()) {
    const at::IntArrayRef sizes = output.tensor().sizes();
    return std::vector<std::int64_t>(sizes.begin(), sizes.end());
  }
  Json shapes = Json::array();
  if (output.is_list()) {
    for (const Batch& item : output.list()) shapes.push_back(shape_of(item));
  }
  return shapes;
}

class ObservedGraph final : public LayerGraph, public ForwardObserver {
 public:
  explicit ObservedGraph(const torch::nn::Module& model) : observation_(*this) {
    name_layers(model, "", waiting_);
  }

  void entered(const torch::nn::Module& /*module*/) override {}

  void left(const torch::nn::Module& module, const Batch& /*input*/, const Batch& output) override {
    const auto layer = waiting_.find(&module);
    if (layer == waiting_.end()) return;
    Json parameters = Json::array();
    Json counts = Json::array();
    for (const auto& parameter : module.named_parameters()) {
      const at::IntArrayRef sizes = parameter.value().sizes();
      parameters.push_back(
          {parameter.key(), std::vector<std::int64_t>(sizes.begin(), sizes.end())});
      counts.push_back(parameter.value().numel());
    }
    Json node;
    node["name"] = layer->second;
    node["id"] = nodes_.size() + 1;
    node["class_name"] = python_text(module);
    node["parameters"] = std::move(parameters);
    node["output_shape"] =
        output.is_list() ? shape_of(output) : Json::array({shape_of(output)});  // Python's tuple
    node["num_parameters"] = std::move(counts);
    nodes_.push_back(std::move(node));
    waiting_.erase(layer);
  }

  bool looks_inside_layers() const override { return false; }

  std::optional<std::string> json() const override {
    if (nodes_.empty() || !waiting_.empty()) return std::nullopt;
    Json graph;
    graph["format"] = "torch";
    graph["nodes"] = nodes_;
    graph["edges"] = Json::array();
    return graph.dump();
  }

 private:
  Names waiting_;  // layers that were not called yet
  std::vector<Json> nodes_;
  const ForwardObservation observation_;
};

}  // namespace

std::unique_ptr<LayerGraph> LayerGraph::of(TrainableModule& model) {
  const auto* tree = dynamic_cast<const torch::nn::Module*>(&model);
  return tree == nullptr ? nullptr : std::make_unique<ObservedGraph>(*tree);
}

}  // namespace lctl::wandb
