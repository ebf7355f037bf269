#include <array>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/factory/optimizers.h"
#include "worker/trainer/optim/lr_scheduler/composed.h"
#include "worker/trainer/optim/lr_scheduler/cosine.h"
#include "worker/trainer/optim/lr_scheduler/cyclic.h"
#include "worker/trainer/optim/lr_scheduler/multiplicative.h"
#include "worker/trainer/optim/lr_scheduler/one_cycle.h"
#include "worker/trainer/optim/lr_scheduler/reduce_on_plateau.h"
#include "worker/trainer/optim/lr_scheduler/swa.h"

namespace lctl {
namespace {

using jobspec::Arguments;
using jobspec::ClassSpec;
using Made = std::unique_ptr<LRScheduler>;

std::vector<Made> make_children(const ClassSpec& spec, Optimizer& optimizer) {
  std::vector<Made> children;
  for (const ClassSpec& child : spec.children)
    children.push_back(make_lr_scheduler(child, optimizer));
  return children;
}

Made make_one_cycle(const ClassSpec& spec, Optimizer& optimizer) {
  const Arguments& a = spec.init_args;
  OneCycleOptions options;
  options.max_lr = a.get_doubles("max_lr");
  options.total_steps = a.get_optional_int("total_steps");
  options.epochs = a.get_optional_int("epochs");
  options.steps_per_epoch = a.get_optional_int("steps_per_epoch");
  options.pct_start = a.get_double("pct_start");
  options.anneal_strategy = a.get_string("anneal_strategy");
  options.cycle_momentum = a.get_bool("cycle_momentum");
  options.base_momentum = a.get_doubles("base_momentum");
  options.max_momentum = a.get_doubles("max_momentum");
  options.div_factor = a.get_double("div_factor");
  options.final_div_factor = a.get_double("final_div_factor");
  options.three_phase = a.get_bool("three_phase");
  return one_cycle_lr(optimizer, options);
}

Made make_plateau(const ClassSpec& spec, Optimizer& optimizer) {
  const Arguments& a = spec.init_args;
  PlateauOptions options;
  options.mode = a.get_string("mode");
  options.factor = a.get_double("factor");
  options.patience = a.get_int("patience");
  options.threshold = a.get_double("threshold");
  options.threshold_mode = a.get_string("threshold_mode");
  options.cooldown = a.get_int("cooldown");
  options.min_lr = a.get_doubles("min_lr");
  options.eps = a.get_double("eps");
  return reduce_lr_on_plateau(optimizer, options);
}

Made make_cyclic(const ClassSpec& spec, Optimizer& optimizer) {
  const Arguments& a = spec.init_args;
  CyclicOptions options;
  options.base_lr = a.get_doubles("base_lr");
  options.max_lr = a.get_doubles("max_lr");
  options.step_size_up = a.get_int("step_size_up");
  options.step_size_down = a.get_optional_int("step_size_down");
  options.mode = a.get_string("mode");
  options.gamma = a.get_double("gamma");
  options.cycle_momentum = a.get_bool("cycle_momentum");
  options.base_momentum = a.get_doubles("base_momentum");
  options.max_momentum = a.get_doubles("max_momentum");
  return cyclic_lr(optimizer, options);
}

Made make_swa(const ClassSpec& spec, Optimizer& optimizer) {
  const Arguments& a = spec.init_args;
  return swa_lr(optimizer, {.swa_lrs = a.get_doubles("swa_lr"),
                            .anneal_epochs = a.get_int("anneal_epochs"),
                            .anneal_strategy = a.get_string("anneal_strategy")});
}

struct Entry {
  std::string_view name;
  Made (*make)(const ClassSpec& spec, Optimizer& optimizer);
};

constexpr std::array<Entry, 14> kSchedulers = {{
    {"StepLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return step_lr(o, s.init_args.get_int("step_size"), s.init_args.get_double("gamma"));
     }},
    {"MultiStepLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return multi_step_lr(o, s.init_args.get_ints("milestones"), s.init_args.get_double("gamma"));
     }},
    {"ConstantLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return constant_lr(o, s.init_args.get_double("factor"), s.init_args.get_int("total_iters"));
     }},
    {"LinearLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return linear_lr(o, s.init_args.get_double("start_factor"),
                        s.init_args.get_double("end_factor"), s.init_args.get_int("total_iters"));
     }},
    {"ExponentialLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return exponential_lr(o, s.init_args.get_double("gamma"));
     }},
    {"PolynomialLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return polynomial_lr(o, s.init_args.get_int("total_iters"), s.init_args.get_double("power"));
     }},
    {"CosineAnnealingLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return cosine_annealing_lr(o, s.init_args.get_int("T_max"),
                                  s.init_args.get_double("eta_min"));
     }},
    {"CosineAnnealingWarmRestarts",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return cosine_annealing_warm_restarts(o, s.init_args.get_int("T_0"),
                                             s.init_args.get_int("T_mult"),
                                             s.init_args.get_double("eta_min"));
     }},
    {"ReduceLROnPlateau", make_plateau},
    {"OneCycleLR", make_one_cycle},
    {"CyclicLR", make_cyclic},
    {"SWALR", make_swa},
    {"SequentialLR",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return sequential_lr(o, make_children(s, o), s.init_args.get_ints("milestones"));
     }},
    {"ChainedScheduler",
     [](const ClassSpec& s, Optimizer& o) -> Made {
       return chained_scheduler(make_children(s, o));
     }},
}};

}  // namespace

Made make_lr_scheduler(const ClassSpec& spec, Optimizer& optimizer) {
  for (const Entry& entry : kSchedulers) {
    if (spec.class_name == entry.name) return entry.make(spec, optimizer);
  }
  throw MisconfigurationException("lr_scheduler: unknown class '" + spec.class_name + "'");
}

std::vector<std::string_view> lr_scheduler_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kSchedulers) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
