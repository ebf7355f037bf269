#include "worker/trainer/models/net.h"

#include <fmt/format.h>

#include <string>
#include <typeinfo>

#include "worker/trainer/core/class_name.h"

namespace lctl {
namespace {

// "torch.nn.Linear" for LibTorch's LinearImpl.
std::string type_of(const torch::nn::Module& module) {
  std::string name = class_name_of(typeid(module));
  if (name.ends_with("Impl")) name.resize(name.size() - 4);
  return "torch.nn." + name;
}

}  // namespace

at::Tensor Net::named_forward(at::Tensor x) {
  const ModuleScope whole("Net: " + name_);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const ModuleScope scope(fmt::format("{}: {}.{}", type_of(*layers_[i].module), name_, i));
    x = layers_[i].forward(x);
  }
  return x;
}

}  // namespace lctl
