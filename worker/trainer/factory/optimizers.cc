#include "worker/trainer/factory/optimizers.h"

#include <array>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/optim/adagrad.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/rmsprop.h"
#include "worker/trainer/optim/sgd.h"

namespace lctl {
namespace {

using jobspec::Arguments;
using Parameters = std::vector<at::Tensor>;

std::unique_ptr<Optimizer> make_sgd(const Arguments& a, Parameters parameters) {
  SgdOptions options;
  options.lr = a.get_double("lr");
  options.momentum = a.get_double("momentum");
  options.dampening = a.get_double("dampening");
  options.weight_decay = a.get_double("weight_decay");
  options.nesterov = a.get_bool("nesterov");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  options.fused = a.get_optional_bool("fused");
  return std::make_unique<Sgd>(std::move(parameters), options);
}

AdamOptions adam_options(const Arguments& a) {
  AdamOptions options;
  options.lr = a.get_double("lr");
  const std::vector<double> betas = a.get_doubles("betas");
  options.betas = {betas.at(0), betas.at(1)};
  options.eps = a.get_double("eps");
  options.weight_decay = a.get_double("weight_decay");
  options.amsgrad = a.get_bool("amsgrad");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  options.fused = a.get_optional_bool("fused");
  return options;
}

std::unique_ptr<Optimizer> make_adam(const Arguments& a, Parameters parameters) {
  AdamOptions options = adam_options(a);
  options.decoupled_weight_decay = a.get_bool("decoupled_weight_decay");
  return std::make_unique<Adam>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_adagrad(const Arguments& a, Parameters parameters) {
  AdagradOptions options;
  options.lr = a.get_double("lr");
  options.lr_decay = a.get_double("lr_decay");
  options.weight_decay = a.get_double("weight_decay");
  options.initial_accumulator_value = a.get_double("initial_accumulator_value");
  options.eps = a.get_double("eps");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  options.fused = a.get_optional_bool("fused");
  return std::make_unique<Adagrad>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_rmsprop(const Arguments& a, Parameters parameters) {
  RmspropOptions options;
  options.lr = a.get_double("lr");
  options.alpha = a.get_double("alpha");
  options.eps = a.get_double("eps");
  options.weight_decay = a.get_double("weight_decay");
  options.momentum = a.get_double("momentum");
  options.centered = a.get_bool("centered");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  return std::make_unique<Rmsprop>(std::move(parameters), options);
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Optimizer> (*make)(const Arguments& arguments, Parameters parameters);
};

constexpr std::array<Entry, 5> kOptimizers = {{
    {"SGD", make_sgd},
    {"Adam", make_adam},
    {"AdamW",
     [](const Arguments& a, Parameters parameters) -> std::unique_ptr<Optimizer> { return adam_w(std::move(parameters), adam_options(a)); }},
    {"Adagrad", make_adagrad},
    {"RMSprop", make_rmsprop},
}};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const jobspec::ClassSpec& spec, Parameters parameters) {
  for (const Entry& entry : kOptimizers) {
    if (spec.class_name == entry.name) return entry.make(spec.init_args, std::move(parameters));
  }
  throw MisconfigurationException("optimizer: unknown class '" + spec.class_name + "'");
}

OptimizersConfig make_optimizers(const std::optional<jobspec::ClassSpec>& optimizer,
                                 const std::optional<jobspec::LrSchedulerSpec>& lr_scheduler, Parameters parameters) {
  OptimizersConfig config;
  if (!optimizer) return config;
  config.optimizers.push_back(make_optimizer(*optimizer, std::move(parameters)));
  if (!lr_scheduler) return config;
  LRSchedulerConfig entry;
  entry.scheduler = make_lr_scheduler(lr_scheduler->scheduler, *config.optimizers.front());
  entry.interval = lr_scheduler->interval;
  entry.frequency = lr_scheduler->frequency;
  entry.monitor = lr_scheduler->monitor;
  entry.strict = lr_scheduler->strict;
  entry.name = lr_scheduler->name;
  config.lr_schedulers.push_back(std::move(entry));
  return config;
}

std::vector<std::string_view> optimizer_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kOptimizers) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
