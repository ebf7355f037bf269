#include "worker/trainer/callbacks/base_finetuning.h"

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <torch/nn/modules/batchnorm.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/optim/torch_optimizer.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;
using torch::nn::Module;

constexpr const char* kMetadata = "internal_optimizer_metadata";

// Calls visit(layer) if it is one of the three types of batch normalisation.
template <typename Visit>
bool as_batch_norm(Module& module, const Visit& visit) {
  if (auto* flat = dynamic_cast<torch::nn::BatchNorm1dImpl*>(&module)) return visit(*flat), true;
  if (auto* image = dynamic_cast<torch::nn::BatchNorm2dImpl*>(&module)) return visit(*image), true;
  if (auto* volume = dynamic_cast<torch::nn::BatchNorm3dImpl*>(&module))
    return visit(*volume), true;
  return false;
}

bool is_batch_norm(Module& module) {
  return as_batch_norm(module, [](auto&) {});
}

std::vector<at::Tensor> own_parameters(const Module& module) {
  std::vector<at::Tensor> parameters;
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (item.value().defined()) parameters.push_back(item.value());
  }
  return parameters;
}

void collect(Module& module, std::set<Module*>& seen, BaseFinetuning::Modules& flat) {
  if (!seen.insert(&module).second) return;
  const auto children = module.children();
  if (children.empty() || !module.named_parameters(/*recurse=*/false).is_empty())
    flat.emplace_back(module);
  for (const auto& child : children) collect(*child, seen, flat);
}

// A group as the state has it: its options, the parameters as their names.
Value named_group(const ParamGroup& group, const std::vector<NamedTensor>& parameters) {
  Dict named;
  named.set("lr", group.lr);
  for (const auto& [key, value] : group.options.entries()) named.set(key.as_string(), value);
  List names;
  for (const at::Tensor& param : group.params) {
    const auto found =
        std::find_if(parameters.begin(), parameters.end(),
                     [&](const NamedTensor& item) { return item.tensor.is_same(param); });
    if (found == parameters.end()) {
      throw std::runtime_error(
          "BaseFinetuning: the optimizer has a parameter that is not one of the module's");
    }
    names.emplace_back(found->name);
  }
  named.set("params", std::move(names));
  return named;
}

ParamGroup group_of(const Dict& named, const std::vector<NamedTensor>& parameters) {
  ParamGroup group;
  for (const auto& [key, value] : named.entries()) {
    if (key.as_string() == "params") {
      for (const Value& name : value.as_list()) {
        const auto found =
            std::find_if(parameters.begin(), parameters.end(),
                         [&](const NamedTensor& item) { return item.name == name.as_string(); });
        if (found == parameters.end()) {
          throw std::runtime_error(
              fmt::format("checkpoint: the state of BaseFinetuning has a parameter '{}' that this "
                          "model does not have",
                          name.as_string()));
        }
        group.params.push_back(found->tensor);
      }
    } else if (key.as_string() == "lr") {
      group.lr = value.as_double();
    } else {
      group.options.set(key.as_string(), value);
    }
  }
  return group;
}

// Which parameters need a gradient.
std::vector<bool> gradient_flags(TrainableModule& module) {
  std::vector<bool> flags;
  for (const NamedTensor& parameter : module.parameter_list())
    flags.push_back(parameter.tensor.requires_grad());
  return flags;
}

}  // namespace

Module& module_tree(TrainableModule& module, std::string_view callback) {
  auto* tree = dynamic_cast<Module*>(&module);
  if (tree != nullptr) return *tree;
  throw std::runtime_error(
      fmt::format("{}: the {} is no torch::nn::Module, so there is nothing to freeze", callback,
                  module.type_name()));
}

// ---- state

Dict BaseFinetuning::state_dict() {
  Dict state;
  state.set(kMetadata, metadata_);
  return state;
}

void BaseFinetuning::load_state_dict(const Dict& state) {
  restarting_ = true;
  // Before Lightning 1.6 it was the whole state.
  const Value* metadata = state.find(kMetadata);
  metadata_ = metadata != nullptr ? metadata->as_dict() : state;
}

void BaseFinetuning::store(TrainableModule& module, std::size_t optimizer,
                           std::size_t groups_before, const std::vector<ParamGroup>& groups) {
  const std::vector<NamedTensor> parameters = module.parameter_list();
  const auto index = static_cast<std::int64_t>(optimizer);
  const Value* known = metadata_.find(index);
  List list = known == nullptr ? List() : known->as_list();
  const std::size_t first = known == nullptr ? 0 : groups_before;
  for (std::size_t g = first; g < groups.size(); ++g)
    list.push_back(named_group(groups[g], parameters));
  metadata_.set(index, std::move(list));
}

void BaseFinetuning::restore_groups(Trainer& trainer, TrainableModule& module) {
  const std::vector<NamedTensor> parameters = module.parameter_list();
  auto& optimizers = trainer.optimizers().optimizers;
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    const Value* saved = metadata_.find(static_cast<std::int64_t>(i));
    if (saved == nullptr) continue;
    std::vector<ParamGroup> groups;
    for (const Value& group : saved->as_list())
      groups.push_back(group_of(group.as_dict(), parameters));
    added_groups_ = added_groups_ || groups.size() > optimizers[i]->param_groups().size();
    optimizers[i]->param_groups() = std::move(groups);
  }
}

// ---- hooks

void BaseFinetuning::setup(Trainer& /*trainer*/, TrainableModule& module,
                           std::string_view /*stage*/) {
  freeze_before_training(module);
}

void BaseFinetuning::on_fit_start(Trainer& trainer, TrainableModule& module) {
  added_groups_ = false;
  if (std::exchange(restarting_, false)) restore_groups(trainer, module);
}

void BaseFinetuning::on_train_start(Trainer& trainer, TrainableModule& /*module*/) {
  // An exact resume has put requires_grad back; the statistics of batch normalisations follow it.
  Modules trainable;
  for (const auto& [layer, momentum] : frozen_statistics_) {
    const std::vector<at::Tensor> parameters = own_parameters(*layer);
    if (!parameters.empty() && parameters.front().requires_grad()) trainable.emplace_back(*layer);
  }
  make_trainable(trainable);
  if (std::exchange(added_groups_, false)) warn_of_what_stays_frozen(trainer);
}

void BaseFinetuning::warn_of_what_stays_frozen(Trainer& trainer) const {
  for (const auto& optimizer : trainer.optimizers().optimizers) {
    for (const ParamGroup& group : optimizer->param_groups()) {
      const bool frozen =
          std::any_of(group.params.begin(), group.params.end(),
                      [](const at::Tensor& param) { return !param.requires_grad(); });
      if (!frozen) continue;
      console::warn(fmt::format(
          "{}: the checkpoint was saved after layers had been unfrozen. As in Lightning they are "
          "frozen again and stay so: their parameters do not change any more. Resume lctl's own "
          "checkpoints without `job: {{resume: lightning}}` to train on, or unfreeze at a later "
          "epoch.",
          type_name()));
      return;
    }
  }
}

void BaseFinetuning::on_train_epoch_start(Trainer& trainer, TrainableModule& module) {
  const std::vector<bool> before = gradient_flags(module);
  auto& optimizers = trainer.optimizers().optimizers;
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    const std::size_t groups = optimizers[i]->param_groups().size();
    finetune_function(module, trainer.current_epoch(), *optimizers[i]);
    store(module, i, groups, optimizers[i]->param_groups());
  }
  if (trainer.strategy().is_distributed() && gradient_flags(module) != before) {
    // Gradients are averaged of the parameters that needed one when the strategy saw the module.
    trainer.strategy().setup_module(module, /*training=*/true);
  }
}

// ---- freezing

BaseFinetuning::Modules BaseFinetuning::flatten_modules(const Modules& modules) {
  Modules flat;
  std::set<Module*> seen;
  for (Module& module : modules) collect(module, seen, flat);
  return flat;
}

std::vector<at::Tensor> BaseFinetuning::filter_params(const Modules& modules, bool train_bn,
                                                      bool requires_grad) {
  std::vector<at::Tensor> filtered;
  for (Module& module : flatten_modules(modules)) {
    if (!train_bn && is_batch_norm(module)) continue;
    for (const at::Tensor& parameter : own_parameters(module)) {
      if (parameter.requires_grad() == requires_grad) filtered.push_back(parameter);
    }
  }
  return filtered;
}

std::vector<at::Tensor> BaseFinetuning::filter_on_optimizer(Optimizer& optimizer,
                                                            const std::vector<at::Tensor>& params) {
  const auto has = [&](const at::Tensor& param) {
    for (const ParamGroup& group : optimizer.param_groups()) {
      for (const at::Tensor& other : group.params) {
        if (other.is_same(param) || (other.sizes() == param.sizes() && at::equal(other, param)))
          return true;
      }
    }
    return false;
  };
  std::vector<at::Tensor> added;
  for (const at::Tensor& param : params) {
    if (!has(param)) added.push_back(param);
  }
  if (added.size() < params.size()) {
    console::warn(fmt::format(
        "The provided params to be frozen already exist within another group of this optimizer. "
        "Those parameters will be skipped.\nHINT: Did you init your optimizer in "
        "`configure_optimizer` as such:\n {}(filter(lambda p: p.requires_grad, self.parameters()), "
        "...) ",
        optimizer.type_name()));
  }
  return added;
}

void BaseFinetuning::freeze(const Modules& modules, bool train_bn) {
  for (Module& module : flatten_modules(modules)) {
    if (train_bn && is_batch_norm(module)) {
      make_trainable({module});
    } else {
      freeze_module(module);
    }
  }
}

// Python switches track_running_stats off. LibTorch's layer would then go on updating its
// statistics, and evaluate with those of the batch; a momentum of 0 and no count give what Python's
// layer does.
void BaseFinetuning::freeze_module(Module& module) {
  as_batch_norm(module, [this](auto& layer) {
    if (!layer.running_mean.defined() || frozen_statistics_.contains(&layer)) return;
    frozen_statistics_[&layer] = layer.options.momentum();
    layer.options.momentum(0.0);
    layer.num_batches_tracked = at::Tensor();  // the buffer itself stays registered
  });
  for (at::Tensor& parameter : own_parameters(module)) parameter.set_requires_grad(false);
}

void BaseFinetuning::make_trainable(const Modules& modules) {
  for (Module& module : flatten_modules(modules)) {
    as_batch_norm(module, [this](auto& layer) {
      const auto frozen = frozen_statistics_.find(&layer);
      if (frozen == frozen_statistics_.end()) return;
      layer.options.momentum(frozen->second);
      layer.num_batches_tracked = layer.named_buffers(/*recurse=*/false)["num_batches_tracked"];
      frozen_statistics_.erase(frozen);
    });
    for (at::Tensor& parameter : own_parameters(module)) parameter.set_requires_grad(true);
  }
}

void BaseFinetuning::unfreeze_and_add_param_group(const Modules& modules, Optimizer& optimizer,
                                                  std::optional<double> lr, double initial_denom_lr,
                                                  bool train_bn) {
  make_trainable(modules);
  const double rate = lr ? *lr : optimizer.param_groups().front().lr / initial_denom_lr;
  std::vector<at::Tensor> params =
      filter_on_optimizer(optimizer, filter_params(modules, train_bn, /*requires_grad=*/true));
  if (!params.empty()) add_param_group(optimizer, std::move(params), rate);
}

}  // namespace lctl
