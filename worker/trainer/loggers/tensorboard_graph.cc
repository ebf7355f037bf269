#include "worker/trainer/loggers/tensorboard_graph.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lctl {
namespace {

namespace jit = torch::jit;

constexpr int kProducer = 22;  // the version that torch.utils.tensorboard writes

// "torch::nn::LinearImpl" → "Linear".
std::string class_name(const torch::nn::Module& module) {
  std::string name = module.name();
  if (const std::size_t colon = name.rfind(':'); colon != std::string::npos)
    name = name.substr(colon + 1);
  if (name.size() > 4 && name.ends_with("Impl")) name.resize(name.size() - 4);
  return name;
}

// The tracer knows parameters as attributes of a jit module, so the tree is copied into one; the
// tensors are shared. `scopes`: dotted path of each module → its place in TensorBoard's tree.
jit::Module mirrored(torch::nn::Module& module, const std::string& path, const std::string& scope,
                     std::map<std::string, std::string>& scopes) {
  scopes[path] = scope;
  jit::Module mirror(c10::QualifiedName("__torch__." + class_name(module)));
  for (const auto& parameter : module.named_parameters(false)) {
    if (parameter.value().defined())
      mirror.register_parameter(parameter.key(), parameter.value(), false);
  }
  for (const auto& buffer : module.named_buffers(false)) {
    if (buffer.value().defined()) mirror.register_buffer(buffer.key(), buffer.value());
  }
  for (const auto& child : module.named_children()) {
    const std::string place = scope + "/" + class_name(*child.value()) + "[" + child.key() + "]";
    const std::string child_path = path.empty() ? child.key() : path + "." + child.key();
    mirror.register_module(child.key(), mirrored(*child.value(), child_path, place, scopes));
  }
  return mirror;
}

// Puts every module into evaluation mode and back into its own.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& model) {
    modes_.emplace_back(&model, model.is_training());
    for (const auto& child : model.modules(false))
      modes_.emplace_back(child.get(), child->is_training());
    model.eval();
  }
  ~EvaluationMode() {
    // Parents come before their children, which train() sets too.
    for (const auto& [module, training] : modes_) module->train(training);
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<torch::nn::Module*, bool>> modes_;
};

void set_shape(const jit::Value& value, tensorboard::NodeDef& node) {
  const auto type = value.type()->cast<c10::TensorType>();
  const auto sizes = type == nullptr ? std::nullopt : type->sizes().concrete_sizes();
  auto& list = *(*node.mutable_attr())["_output_shapes"].mutable_list();
  if (!sizes.has_value()) return;
  tensorboard::TensorShape& shape = *list.add_shape();
  for (const std::int64_t size : *sizes) shape.add_dim()->set_size(size);
}

// Python's str of the attributes' dictionary, without its quotes: "{ value : 2}".
std::string attributes_of(const jit::Node& node) {
  std::ostringstream text;
  for (const c10::Symbol name : node.attributeNames()) {
    text << (text.tellp() == 0 ? " " : ",  ") << name.toUnqualString() << " : ";
    switch (node.kindOf(name)) {
      case jit::AttributeKind::i:
        text << node.i(name);
        break;
      case jit::AttributeKind::f:
        text << node.f(name);
        break;
      case jit::AttributeKind::s:
        text << " " << node.s(name) << " ";
        break;
      case jit::AttributeKind::t:
        if (node.t(name).numel() == 1) {
          text << "tensor(" << node.t(name).item() << ")";
        } else {
          text << "tensor of shape " << node.t(name).sizes();
        }
        break;
      default:
        text << jit::toString(node.kindOf(name));
    }
  }
  return "{" + text.str() + "}";
}

class GraphWriter {
 public:
  GraphWriter(const std::map<std::string, std::string>& scopes, tensorboard::GraphDef& out)
      : scopes_(scopes), out_(out) {}

  void write(jit::Graph& graph) {
    for (jit::Value* input : graph.inputs()) {
      if (is_module(*input)) {
        paths_[input] = "";
        continue;
      }
      names_[input] = "input/" + input->debugName();
      set_shape(*input, add(names_[input], "IO Node", ""));
    }
    // Outputs stand before the operations, as torch has them; their inputs are known afterwards.
    std::vector<tensorboard::NodeDef*> sinks;
    for (jit::Value* output : graph.outputs()) {
      sinks.push_back(&add("output/output." + std::to_string(sinks.size() + 1), "IO Node", ""));
      set_shape(*output, *sinks.back());
    }
    for (jit::Node* node : graph.nodes()) write(*node);
    for (std::size_t i = 0; i < sinks.size(); ++i)
      sinks[i]->add_input(names_.at(graph.outputs()[i]));
  }

 private:
  static bool is_module(const jit::Value& value) {
    return value.type()->kind() == c10::TypeKind::ClassType;
  }

  tensorboard::NodeDef& add(const std::string& name, const char* op,
                            const std::string& attributes) {
    tensorboard::NodeDef& node = *out_.add_node();
    node.set_name(name);
    node.set_op(op);
    (*node.mutable_attr())["attr"].set_s(attributes);
    return node;
  }

  void write(jit::Node& node) {
    std::string scope = scopes_.at("");
    if (node.kind() == c10::prim::GetAttr) {
      const std::string& attribute = node.s(c10::attr::name);
      const std::string& owner = paths_.at(node.input());
      if (is_module(*node.output())) {
        paths_[node.output()] = owner.empty() ? attribute : owner + "." + attribute;
        return;
      }
      scope = scopes_.at(owner) + "/" + attribute;
      owners_[node.output()] = scopes_.at(owner);
    }
    for (const jit::Value* input : node.inputs()) {
      if (const auto owner = owners_.find(input); owner != owners_.end()) scope = owner->second;
    }
    for (jit::Value* output : node.outputs()) {
      names_[output] = scope + "/" + output->debugName();
      tensorboard::NodeDef& made =
          add(names_[output], node.kind().toQualString(), attributes_of(node));
      for (const jit::Value* input : node.inputs()) {
        if (const auto name = names_.find(input); name != names_.end())
          made.add_input(name->second);
      }
      set_shape(*output, made);
    }
  }

  const std::map<std::string, std::string>& scopes_;
  tensorboard::GraphDef& out_;
  std::map<const jit::Value*, std::string> names_;   // of values that are nodes
  std::map<const jit::Value*, std::string> paths_;   // of modules
  std::map<const jit::Value*, std::string> owners_;  // of parameters: their module's scope
};

void collect_tensors(const Batch& batch, jit::Stack& stack) {
  if (batch.is_tensor()) stack.emplace_back(batch.tensor());
  if (batch.is_list()) {
    for (const Batch& item : batch.list()) collect_tensors(item, stack);
  }
  if (batch.is_map()) {
    for (const auto& [key, item] : batch.map()) collect_tensors(item, stack);
  }
}

// What the tracer hands over, in the shape of the example.
Batch as_example(const jit::Stack& stack, const Batch& example) {
  if (example.is_tensor()) return stack.at(0).toTensor();
  Batch::List items;
  for (const c10::IValue& value : stack) items.emplace_back(value.toTensor());
  return Batch(std::move(items));
}

}  // namespace

bool can_be_traced(const Batch& example) {
  if (!example.is_list()) return example.is_tensor();
  return example.size() > 0 && std::all_of(example.list().begin(), example.list().end(),
                                           [](const Batch& item) { return item.is_tensor(); });
}

tensorboard::GraphDef traced_graph(torch::nn::Module& model, const TracedForward& forward,
                                   const Batch& example) {
  if (!can_be_traced(example))
    throw std::invalid_argument("traced_graph: the example must be a tensor or a list of tensors");
  const c10::InferenceMode no_inference_mode(false);  // which the tracer cannot record
  const torch::NoGradGuard no_grad;
  const EvaluationMode evaluation(model);
  std::map<std::string, std::string> scopes;
  jit::Module mirror = mirrored(model, "", class_name(model), scopes);
  const auto run = [&](const jit::Stack& inputs) {
    jit::Stack outputs;
    collect_tensors(forward(as_example(inputs, example)), outputs);
    return outputs;
  };
  const auto no_name = [](const at::Tensor&) { return std::string(); };
  jit::Stack inputs;
  collect_tensors(example, inputs);
  std::vector<std::string> names = {"x"};
  for (std::size_t i = 1; i < inputs.size(); ++i) names.push_back("x" + std::to_string(i));
  const auto [state, outputs] =
      jit::tracer::trace(std::move(inputs), run, no_name, true, false, &mirror, names);
  jit::Inline(*state->graph);
  tensorboard::GraphDef graph;
  GraphWriter(scopes, graph).write(*state->graph);
  graph.mutable_versions()->set_producer(kProducer);
  return graph;
}

}  // namespace lctl
