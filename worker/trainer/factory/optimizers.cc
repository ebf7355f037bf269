#include "worker/trainer/factory/optimizers.h"

#include <array>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/optim/adadelta.h"
#include "worker/trainer/optim/adafactor.h"
#include "worker/trainer/optim/adagrad.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/adam_variants.h"
#include "worker/trainer/optim/asgd.h"
#include "worker/trainer/optim/lbfgs.h"
#include "worker/trainer/optim/muon.h"
#include "worker/trainer/optim/rmsprop.h"
#include "worker/trainer/optim/rprop.h"
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
  return std::make_unique<SGD>(std::move(parameters), options);
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
  return std::make_unique<RMSprop>(std::move(parameters), options);
}

AdamVariantOptions variant_options(const Arguments& a) {
  AdamVariantOptions options;
  options.lr = a.get_double("lr");
  const std::vector<double> betas = a.get_doubles("betas");
  options.betas = {betas.at(0), betas.at(1)};
  options.eps = a.get_double("eps");
  options.weight_decay = a.get_double("weight_decay");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  return options;
}

std::unique_ptr<Optimizer> make_adamax(const Arguments& a, Parameters parameters) {
  return std::make_unique<Adamax>(std::move(parameters), variant_options(a));
}

std::unique_ptr<Optimizer> make_nadam(const Arguments& a, Parameters parameters) {
  AdamVariantOptions options = variant_options(a);
  options.momentum_decay = a.get_double("momentum_decay");
  options.decoupled_weight_decay = a.get_bool("decoupled_weight_decay");
  return std::make_unique<NAdam>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_radam(const Arguments& a, Parameters parameters) {
  AdamVariantOptions options = variant_options(a);
  options.decoupled_weight_decay = a.get_bool("decoupled_weight_decay");
  return std::make_unique<RAdam>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_adadelta(const Arguments& a, Parameters parameters) {
  AdadeltaOptions options;
  options.lr = a.get_double("lr");
  options.rho = a.get_double("rho");
  options.eps = a.get_double("eps");
  options.weight_decay = a.get_double("weight_decay");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  return std::make_unique<Adadelta>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_asgd(const Arguments& a, Parameters parameters) {
  AsgdOptions options;
  options.lr = a.get_double("lr");
  options.lambd = a.get_double("lambd");
  options.alpha = a.get_double("alpha");
  options.t0 = a.get_double("t0");
  options.weight_decay = a.get_double("weight_decay");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  return std::make_unique<ASGD>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_rprop(const Arguments& a, Parameters parameters) {
  RpropOptions options;
  options.lr = a.get_double("lr");
  const std::vector<double> etas = a.get_doubles("etas");
  options.etas = {etas.at(0), etas.at(1)};
  const std::vector<double> step_sizes = a.get_doubles("step_sizes");
  options.step_sizes = {step_sizes.at(0), step_sizes.at(1)};
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  return std::make_unique<Rprop>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_lbfgs(const Arguments& a, Parameters parameters) {
  LbfgsOptions options;
  options.lr = a.get_double("lr");
  options.max_iter = a.get_int("max_iter");
  options.max_eval = a.get_optional_int("max_eval");
  options.tolerance_grad = a.get_double("tolerance_grad");
  options.tolerance_change = a.get_double("tolerance_change");
  options.history_size = a.get_int("history_size");
  options.line_search_fn = a.get_optional_string("line_search_fn");
  return std::make_unique<LBFGS>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_adafactor(const Arguments& a, Parameters parameters) {
  AdafactorOptions options;
  options.lr = a.get_double("lr");
  options.beta2_decay = a.get_double("beta2_decay");
  const jobspec::Value::List& eps = a.get("eps").list();
  if (!(eps[0].is_number() || eps[0].is_null()) || !eps[1].is_number()) {
    throw MisconfigurationException(
        "optimizer.init_args.eps: expected a number or null, and a number, as [null, 0.001]");
  }
  if (eps[0].is_number()) options.eps1 = eps[0].as_double();
  options.eps2 = eps[1].as_double();
  options.d = a.get_double("d");
  options.weight_decay = a.get_double("weight_decay");
  options.maximize = a.get_bool("maximize");
  options.foreach = a.get_optional_bool("foreach");
  return std::make_unique<Adafactor>(std::move(parameters), options);
}

std::unique_ptr<Optimizer> make_muon(const Arguments& a, Parameters parameters) {
  MuonOptions options;
  options.lr = a.get_double("lr");
  options.weight_decay = a.get_double("weight_decay");
  options.momentum = a.get_double("momentum");
  options.nesterov = a.get_bool("nesterov");
  const std::vector<double> coefficients = a.get_doubles("ns_coefficients");
  options.ns_coefficients = {coefficients.at(0), coefficients.at(1), coefficients.at(2)};
  options.eps = a.get_double("eps");
  options.ns_steps = a.get_int("ns_steps");
  options.adjust_lr_fn = a.get_optional_string("adjust_lr_fn");
  return std::make_unique<Muon>(std::move(parameters), options);
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Optimizer> (*make)(const Arguments& arguments, Parameters parameters);
};

constexpr std::array<Entry, 14> kOptimizers = {{
    {"SGD", make_sgd},
    {"Adam", make_adam},
    {"AdamW",
     [](const Arguments& a, Parameters parameters) -> std::unique_ptr<Optimizer> {
       return adam_w(std::move(parameters), adam_options(a));
     }},
    {"Adagrad", make_adagrad},
    {"RMSprop", make_rmsprop},
    {"NAdam", make_nadam},
    {"RAdam", make_radam},
    {"Adadelta", make_adadelta},
    {"Adamax", make_adamax},
    {"ASGD", make_asgd},
    {"Rprop", make_rprop},
    {"LBFGS", make_lbfgs},
    {"Adafactor", make_adafactor},
    {"Muon", make_muon},
}};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const jobspec::ClassSpec& spec, Parameters parameters) {
  for (const Entry& entry : kOptimizers) {
    if (spec.class_name == entry.name) return entry.make(spec.init_args, std::move(parameters));
  }
  throw MisconfigurationException("optimizer: unknown class '" + spec.class_name + "'");
}

OptimizersConfig make_optimizers(const std::optional<jobspec::ClassSpec>& optimizer,
                                 const std::optional<jobspec::LrSchedulerSpec>& lr_scheduler,
                                 Parameters parameters) {
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
