#include "worker/trainer/callbacks/layer_sizes.h"

#include <set>
#include <vector>

#include "worker/trainer/callbacks/layer_paths.h"
#include "worker/trainer/callbacks/operator_trace.h"
#include "worker/trainer/callbacks/traced_layers.h"
#include "worker/trainer/core/forward_observer.h"

namespace lctl {
namespace {

using Paths = std::map<const torch::nn::Module*, std::string>;

// Python's parse_batch_shape and its str(): what has no size is '?', in quotes inside of a list.
std::string text_of(const Batch& value) {
  if (value.is_tensor()) return sizes_text(value.tensor());
  if (!value.is_list() || value.size() == 0) return "?";
  std::string text = "[";
  for (const Batch& item : value.list()) {
    const bool sized = item.is_tensor() || item.is_list();
    text += (text.size() > 1 ? ", " : "") + (sized ? text_of(item) : std::string("'?'"));
  }
  return text + "]";
}

// Collects what modules report. Operations count for every module whose call is under way.
class Reports final : public ForwardObserver {
 public:
  Reports(OperatorTrace& trace, const Paths& paths, bool inside_layers, ForwardSizes& sizes)
      : trace_(trace), paths_(paths), inside_layers_(inside_layers), sizes_(sizes) {}

  void entered(const torch::nn::Module& module) override {
    if (!any_) trace_.only_count([this](std::int64_t flops) { count(flops); });
    any_ = true;
    under_way_.push_back(find(module));
  }

  void left(const torch::nn::Module& module, const Batch& input, const Batch& output) override {
    under_way_.pop_back();
    LayerSizes* layer = find(module);
    if (layer == nullptr || !called_.insert(&module).second) return;
    layer->in = text_of(input);
    layer->out = text_of(output);
  }

  bool looks_inside_layers() const override { return inside_layers_; }
  bool any() const { return any_; }

 private:
  LayerSizes* find(const torch::nn::Module& module) {
    const auto path = paths_.find(&module);
    return path == paths_.end() ? nullptr : &sizes_.layers[path->second];
  }

  void count(std::int64_t flops) {
    const std::set<LayerSizes*> each(under_way_.begin(), under_way_.end());
    for (LayerSizes* layer : each) {
      if (layer != nullptr) layer->flops = layer->flops.value_or(0) + flops;
    }
  }

  OperatorTrace& trace_;
  const Paths& paths_;
  const bool inside_layers_;
  ForwardSizes& sizes_;
  bool any_ = false;
  std::vector<LayerSizes*> under_way_;
  std::set<const torch::nn::Module*> called_;
};

}  // namespace

ForwardSizes observe_forward(torch::nn::Module& model, bool inside_layers,
                             const std::function<void()>& forward) {
  const Paths paths = layer_paths(model);
  ForwardSizes sizes;
  for (const auto& [module, path] : paths) sizes.layers[path];
  OperatorTrace trace;
  Reports reports(trace, paths, inside_layers, sizes);
  {
    const ForwardObservation observation(reports);
    forward();
  }
  sizes.total_flops = trace.total_flops();
  if (reports.any()) {
    for (auto& [path, layer] : sizes.layers) layer.flops = layer.flops.value_or(0);
    return sizes;
  }
  const TracedLayers traced(model, trace.operators());
  for (const auto& [module, path] : paths) sizes.layers[path] = traced.sizes_of(*module);
  return sizes;
}

}  // namespace lctl
