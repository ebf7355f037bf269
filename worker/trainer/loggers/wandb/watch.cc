#include "worker/trainer/loggers/wandb/watch.h"

#include <ATen/ATen.h>

#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/loggers/wandb/layer_graph.h"

namespace lctl::wandb {
namespace {

bool includes(const WatchOptions& options, const char* what) {
  return options.log.has_value() && (*options.log == what || *options.log == "all");
}

WatchOptions checked(WatchOptions options) {
  const bool known =
      !options.log || includes(options, "gradients") || includes(options, "parameters");
  if (!known)
    throw std::invalid_argument("log must be one of 'gradients', 'parameters', 'all', or None");
  if (options.log_freq < 1)
    throw std::invalid_argument("WandbLogger.watch: log_freq must be at least 1 (batches)");
  return options;
}

}  // namespace

Watch::Watch(const TrainableModule* module, WatchOptions options, Sink sink)
    : module_(module),
      options_(checked(std::move(options))),
      sink_(std::move(sink)),
      parameters_(includes(options_, "parameters")),
      gradients_(includes(options_, "gradients")),
      graph_wanted_(options_.log_graph) {}

Watch::~Watch() { let_go(); }

bool Watch::watches(const TrainableModule& module) const {
  return module_ == nullptr || module_ == &module;
}

void Watch::forward_follows(TrainableModule& module) {
  if (!watches(module)) return;
  if (graph_wanted_) {
    graph_wanted_ = false;
    graph_ = LayerGraph::of(module);
  }
  if (!parameters_ || ++forwards_ < options_.log_freq) return;
  forwards_ = 0;
  for (const NamedTensor& parameter : module.parameter_list()) {
    if (auto histogram = histogram_of(parameter.tensor))
      sink_.histogram("parameters/" + parameter.name, *std::move(histogram));
  }
}

void Watch::on_train_batch_start(Trainer& /*trainer*/, TrainableModule& module,
                                 const Batch& /*batch*/, std::int64_t /*batch_idx*/) {
  forward_follows(module);
  if (!gradients_ || !watches(module) || ++batches_ < options_.log_freq) return;
  batches_ = 0;
  hook_gradients(module);
}

void Watch::hook_gradients(TrainableModule& module) {
  remove_hooks();
  for (NamedTensor& parameter : module.parameter_list()) {
    if (!parameter.tensor.requires_grad()) continue;
    const unsigned hook = parameter.tensor.register_hook(
        [this, name = "gradients/" + parameter.name](const at::Tensor& gradient) {
          if (!gradient.defined()) return;
          if (auto histogram = histogram_of(gradient)) sink_.histogram(name, *std::move(histogram));
        });
    hooks_.emplace_back(std::move(parameter.tensor), hook);
  }
}

void Watch::on_train_batch_end(Trainer& /*trainer*/, TrainableModule& /*module*/,
                               const StepOutput& /*outputs*/, const Batch& /*batch*/,
                               std::int64_t /*batch_idx*/) {
  forward_is_over();
  remove_hooks();
}

void Watch::forward_is_over() {
  if (graph_ == nullptr) return;
  if (const auto json = graph_->json()) {
    sink_.graph(*json);
  } else {
    console::warn(
        "WandbLogger: no graph of the model: only the layers of declarative models (Classifier, "
        "Regressor) say when they are called. To say that you know, watch with log_graph false.");
  }
  graph_.reset();
}

void Watch::let_go() {
  graph_.reset();
  remove_hooks();
}

void Watch::remove_hooks() {
  for (const auto& [parameter, hook] : hooks_) parameter.remove_hook(hook);
  hooks_.clear();
}

}  // namespace lctl::wandb
