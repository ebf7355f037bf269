#include "worker/trainer/callbacks/learning_rate_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

using Stats = std::vector<std::pair<std::string, double>>;

std::string group_name(const ParamGroup& group) {
  const checkpoint::Value* name = group.options.find("name");
  return name != nullptr && name->is_string() ? name->as_string() : "";
}

// The names of an optimizer's groups, from the name of the whole.
std::vector<std::string> names_of(Optimizer& optimizer, const std::string& name) {
  const std::vector<ParamGroup>& groups = optimizer.param_groups();
  std::vector<std::string> names;
  std::set<std::string> unique;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::string group = group_name(groups[i]);
    if (group.empty() && groups.size() > 1) group = fmt::format("pg{}", i + 1);
    if (!unique.insert(group).second) {
      throw MisconfigurationException(fmt::format(
          "A single `Optimizer` cannot have multiple parameter groups with identical `name` "
          "values. {} has duplicated parameter group names {{'{}'}}",
          name, group));
    }
    names.push_back(group.empty() ? name : name + "/" + group);
  }
  return names;
}

double number_of(const checkpoint::Value* value) {
  return value == nullptr || !(value->is_double() || value->is_int()) ? 0 : value->as_double();
}

double momentum_of(const ParamGroup& group) {
  const checkpoint::Value* betas = group.options.find("betas");
  if (betas != nullptr && betas->is_tuple()) return number_of(&betas->as_tuple().items.at(0));
  if (betas != nullptr && betas->is_list()) return number_of(&betas->as_list().at(0));
  return number_of(group.options.find("momentum"));
}

// Lightning fails, too, where an optimizer (Rprop, LBFGS) has none.
double weight_decay_of(const ParamGroup& group, const Optimizer& optimizer) {
  const checkpoint::Value* decay = group.options.find("weight_decay");
  if (decay != nullptr) return number_of(decay);
  throw MisconfigurationException(
      fmt::format("LearningRateMonitor(log_weight_decay=True): {} has no 'weight_decay'; leave "
                  "log_weight_decay out",
                  optimizer.type_name()));
}

void set(Stats& stats, const std::string& name, double value) {
  const auto found = std::find_if(stats.begin(), stats.end(),
                                  [&](const auto& each) { return each.first == name; });
  if (found == stats.end()) {
    stats.emplace_back(name, value);
  } else {
    found->second = value;
  }
}

void add_stats(Optimizer& optimizer, const std::vector<std::string>& names,
               const LearningRateMonitorOptions& options, Stats& stats) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ParamGroup& group = optimizer.param_groups()[i];
    set(stats, names[i], group.lr);
    if (options.log_momentum) set(stats, names[i] + "-momentum", momentum_of(group));
    if (options.log_weight_decay) {
      set(stats, names[i] + "-weight_decay", weight_decay_of(group, optimizer));
    }
  }
}

// Gives out "lr-SGD", "lr-SGD-1", …; a name of the user's is numbered after its class, too.
class Names {
 public:
  std::vector<std::string> next(Optimizer& optimizer, const std::optional<std::string>& given) {
    seen_.insert(&optimizer);
    int& count = classes_[optimizer.type_name()];
    if (!given.has_value()) ++count;
    std::string name = given.value_or("lr-" + optimizer.type_name());
    if (count > 1) name += fmt::format("-{}", count - 1);
    return names_of(optimizer, name);
  }
  bool seen(const Optimizer& optimizer) const { return seen_.contains(&optimizer); }

 private:
  std::set<const Optimizer*> seen_;
  std::map<std::string, int> classes_;
};

bool lacks_momentum(Optimizer& optimizer) {
  return std::any_of(optimizer.param_groups().begin(), optimizer.param_groups().end(),
                     [](const ParamGroup& group) {
                       return group.options.find("momentum") == nullptr &&
                              group.options.find("betas") == nullptr;
                     });
}

}  // namespace

std::vector<std::pair<std::string, double>> learning_rate_stats(
    const OptimizersConfig& optimizers, std::string_view interval,
    const LearningRateMonitorOptions& options) {
  Stats stats;
  Names names;
  for (const LRSchedulerConfig& config : optimizers.lr_schedulers) {
    Optimizer& optimizer = config.scheduler->optimizer();
    const std::vector<std::string> of_groups = names.next(optimizer, config.name);
    if (interval == "any" || interval == config.interval) {
      add_stats(optimizer, of_groups, options, stats);
    }
  }
  for (const std::unique_ptr<Optimizer>& optimizer : optimizers.optimizers) {
    if (names.seen(*optimizer)) continue;
    add_stats(*optimizer, names.next(*optimizer, std::nullopt), options, stats);
  }
  return stats;
}

LearningRateMonitor::LearningRateMonitor(LearningRateMonitorOptions options)
    : options_(std::move(options)) {
  if (options_.logging_interval && *options_.logging_interval != "step" &&
      *options_.logging_interval != "epoch") {
    throw MisconfigurationException("logging_interval should be `step` or `epoch` or `None`.");
  }
}

void LearningRateMonitor::on_train_start(Trainer& trainer, TrainableModule& /*module*/) {
  if (!trainer.logger_connector().has_user_logger()) {
    throw MisconfigurationException(
        "Cannot use `LearningRateMonitor` callback with `Trainer` that has no logger.");
  }
  const auto& optimizers = trainer.optimizers().optimizers;
  if (options_.log_momentum &&
      std::any_of(optimizers.begin(), optimizers.end(),
                  [](const auto& each) { return lacks_momentum(*each); })) {
    console::warn(
        "You have set log_momentum=True, but some optimizers do not have momentum. This will log a "
        "value 0 for the momentum.");
  }
}

void LearningRateMonitor::on_train_batch_start(Trainer& trainer, TrainableModule& /*module*/,
                                               const Batch& /*batch*/, std::int64_t /*batch_idx*/) {
  if (options_.logging_interval == "epoch" || !trainer.logger_connector().should_update_logs()) {
    return;
  }
  log(trainer, options_.logging_interval.has_value() ? "any" : "step");
}

void LearningRateMonitor::on_train_epoch_start(Trainer& trainer, TrainableModule& /*module*/) {
  if (options_.logging_interval == "step") return;
  log(trainer, options_.logging_interval.has_value() ? "any" : "epoch");
}

void LearningRateMonitor::log(Trainer& trainer, std::string_view interval) {
  const Stats stats = learning_rate_stats(trainer.optimizers(), interval, options_);
  if (stats.empty()) return;
  std::vector<LoggedMetric> row;
  row.reserve(stats.size());
  for (const auto& [name, value] : stats) {
    row.push_back({name, value});
    trainer.logger_connector().mutable_callback_metrics().set(name, MetricValue(value, false));
  }
  trainer.logger_connector().log_beside(row);
}

}  // namespace lctl
