// Names of layers in traces. LibTorch's modules have no forward hooks, so a module that wants its
// layers named says so itself:
//
//   torch::Tensor forward(torch::Tensor x) {
//     const ModuleScope scope("torch.nn.Linear: encoder");
//     return encoder->forward(x);
//   }
#pragma once

#include <ATen/record_function.h>

#include <optional>
#include <string_view>

namespace lctl {

// True while a PyTorchProfiler with record_module_names serves a run. Written by that profiler
// only, on the training thread; forward passes read it there.
extern bool module_names_recorded;

// A range "[pl][module]<name>" while it lives. Costs one predictable branch when nobody records.
// Thread rule: one strand only (the training thread).
class ModuleScope {
 public:
  explicit ModuleScope(std::string_view name) {
    if (module_names_recorded) [[unlikely]]
      begin(name);
  }
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;

 private:
  void begin(std::string_view name);

  std::optional<at::RecordFunction> range_;
};

}  // namespace lctl
