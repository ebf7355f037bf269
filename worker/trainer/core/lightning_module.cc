#include "worker/trainer/core/lightning_module.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/instancenorm.h>

#include <map>
#include <set>
#include <stdexcept>

#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

using torch::nn::Module;

// Calls visit(path, module) for the module and everything below it, parents first.
template <typename Visit>
void walk(const Module& module, const std::string& path, const Visit& visit) {
  visit(path, module);
  for (const auto& child : module.named_children()) {
    walk(*child.value(), path.empty() ? child.key() : path + "." + child.key(), visit);
  }
}

template <typename Visit>
void walk_mutable(Module& module, const Visit& visit) {
  visit(module);
  for (const auto& child : module.children()) walk_mutable(*child, visit);
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// Normalisations that count batches are at version 2 of their state's layout in torch, all others
// at 1.
std::int64_t state_version(const Module& module) {
  const bool counts_batches = dynamic_cast<const torch::nn::BatchNorm1dImpl*>(&module) ||
                              dynamic_cast<const torch::nn::BatchNorm2dImpl*>(&module) ||
                              dynamic_cast<const torch::nn::BatchNorm3dImpl*>(&module) ||
                              dynamic_cast<const torch::nn::InstanceNorm1dImpl*>(&module) ||
                              dynamic_cast<const torch::nn::InstanceNorm2dImpl*>(&module) ||
                              dynamic_cast<const torch::nn::InstanceNorm3dImpl*>(&module);
  return counts_batches ? 2 : 1;
}

// "torch::nn::LinearImpl" -> "Linear".
std::string short_type(const Module& module) {
  std::string name = module.name();
  if (const auto colon = name.rfind(':'); colon != std::string::npos) name.erase(0, colon + 1);
  if (name.size() > 4 && name.ends_with("Impl")) name.resize(name.size() - 4);
  return name;
}

std::string shape_text(const at::Tensor& tensor) {
  std::string text = "torch.Size([";
  for (std::int64_t i = 0; i < tensor.dim(); ++i)
    text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return text + "])";
}

}  // namespace

LightningModule::LightningModule(std::string class_name) : Module(std::move(class_name)) {}
LightningModule::~LightningModule() = default;

at::Tensor LightningModule::forward(const at::Tensor&) {
  throw MisconfigurationException(
      type_name() +
      " has no `forward`: override `at::Tensor forward(const at::Tensor& input)`, or "
      "`Batch call(const Batch& input)` for inputs of another kind");
}

Batch LightningModule::call(const Batch& input) {
  if (input.is_tensor()) return forward(input.tensor());
  throw MisconfigurationException(
      type_name() +
      "'s `forward` takes one tensor, and what it is given holds more: override "
      "`predict_step` (return forward(batch[0].tensor());) or `call(const Batch&)`");
}

std::string LightningModule::type_name() const {
  std::string name = torch::nn::Module::name();  // of the dynamic type unless given
  if (const auto colon = name.rfind(':'); colon != std::string::npos) name.erase(0, colon + 1);
  return name;
}

std::vector<NamedTensor> LightningModule::parameter_list() const {
  std::vector<NamedTensor> list;
  for (const auto& item : named_parameters()) {
    bool seen = false;
    for (const NamedTensor& other : list) seen = seen || other.tensor.is_same(item.value());
    if (!seen) list.push_back({item.key(), item.value()});
  }
  return list;
}

std::vector<NamedTensor> LightningModule::state_list() const {
  std::vector<NamedTensor> list;
  walk(*this, "", [&list](const std::string& path, const Module& module) {
    for (const auto& item : module.named_parameters(/*recurse=*/false)) {
      if (item.value().defined()) list.push_back({joined(path, item.key()), item.value()});
    }
    for (const auto& item : module.named_buffers(/*recurse=*/false)) {
      if (item.value().defined()) list.push_back({joined(path, item.key()), item.value()});
    }
  });
  return list;
}

checkpoint::Dict LightningModule::state_dict() const {
  checkpoint::Dict state;
  state.ordered = true;
  for (const NamedTensor& item : state_list()) state.set(item.name, item.tensor.detach());
  auto metadata = std::make_shared<checkpoint::Dict>();
  metadata->ordered = true;
  walk(*this, "", [&metadata](const std::string& path, const Module& module) {
    checkpoint::Dict version;
    version.set("version", state_version(module));
    metadata->set(path, version);
  });
  state.metadata = std::move(metadata);
  return state;
}

void LightningModule::load_state_dict(const checkpoint::Dict& state, bool strict) {
  const torch::NoGradGuard no_grad;
  std::string missing, unexpected, misshapen;
  std::map<std::string, at::Tensor> own;
  for (const NamedTensor& item : state_list()) {
    own.emplace(item.name, item.tensor);
    const checkpoint::Value* value = state.find(item.name);
    if (value == nullptr) {
      missing += (missing.empty() ? "\"" : ", \"") + item.name + "\"";
      continue;
    }
    const at::Tensor& saved = value->as_tensor();
    if (saved.sizes() != item.tensor.sizes()) {
      misshapen += "\n\tsize mismatch for " + item.name + ": copying a param with shape " +
                   shape_text(saved) + " from checkpoint, the shape in current model is " +
                   shape_text(item.tensor) + ".";
      continue;
    }
    at::Tensor target = item.tensor;
    target.copy_(saved);
  }
  for (const auto& [key, value] : state.entries()) {
    if (!own.contains(key.as_string()))
      unexpected += (unexpected.empty() ? "\"" : ", \"") + key.as_string() + "\"";
  }
  std::string problems;
  if (strict && !unexpected.empty())
    problems += "\n\tUnexpected key(s) in state_dict: " + unexpected + ". ";
  if (strict && !missing.empty()) problems += "\n\tMissing key(s) in state_dict: " + missing + ". ";
  problems += misshapen;
  if (!problems.empty())
    throw std::runtime_error("Error(s) in loading state_dict for " + type_name() + ":" + problems);
}

std::vector<SubmoduleDescription> LightningModule::describe_submodules() const {
  std::vector<SubmoduleDescription> list;
  std::set<const Module*> seen;  // a module in two places is listed once, as in Python
  walk(*this, "", [&](const std::string& path, const Module& module) {
    if (!seen.insert(&module).second) return;
    SubmoduleDescription description;
    description.name = path;
    description.type = short_type(module);
    description.training = module.is_training();
    description.is_leaf = module.children().empty();
    description.parameters = module.parameters();
    list.push_back(std::move(description));
  });
  return list;
}

std::vector<bool> LightningModule::training_flags() const {
  std::vector<bool> flags;
  walk(*this, "", [&flags](const std::string&, const Module& module) {
    flags.push_back(module.is_training());
  });
  return flags;
}

void LightningModule::set_training_flags(const std::vector<bool>& flags) {
  // train() also sets the modules below, which come later in the walk and get their own flag then.
  std::size_t position = 0;
  walk_mutable(*this, [&](Module& module) {
    if (position < flags.size() && module.is_training() != flags[position])
      module.train(flags[position]);
    ++position;
  });
}

void LightningModule::move_to(c10::Device device, std::optional<c10::ScalarType> dtype) {
  const torch::NoGradGuard no_grad;
  for (const NamedTensor& item : state_list()) {
    at::Tensor tensor = item.tensor;
    const bool cast = dtype && tensor.is_floating_point() && tensor.scalar_type() != *dtype;
    if (!cast && tensor.device() == device) continue;
    tensor.set_data(tensor.to(device, cast ? *dtype : tensor.scalar_type()));
  }
}

}  // namespace lctl
