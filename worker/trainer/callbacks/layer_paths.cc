#include "worker/trainer/callbacks/layer_paths.h"

namespace lctl {
namespace {

void collect(const torch::nn::Module& module, const std::string& path,
             std::map<const torch::nn::Module*, std::string>& paths) {
  for (const auto& child : module.named_children()) {
    const std::string name = path.empty() ? child.key() : path + "." + child.key();
    if (paths.emplace(child.value().get(), name).second) collect(*child.value(), name, paths);
  }
}

}  // namespace

std::map<const torch::nn::Module*, std::string> layer_paths(const torch::nn::Module& model) {
  std::map<const torch::nn::Module*, std::string> paths;
  collect(model, "", paths);
  return paths;
}

}  // namespace lctl
