#include "worker/trainer/optim/lr_scheduler/cycle_momentum.h"

#include <stdexcept>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

using checkpoint::Tuple;
using checkpoint::Value;

bool has_betas(Optimizer& optimizer) {
  return optimizer.param_groups().front().options.find("betas") != nullptr;
}

void set_momentum(ParamGroup& group, double momentum) {
  const Value* found = group.options.find("betas");
  if (found == nullptr) return group.options.set("momentum", momentum);
  const Value betas = *found;
  const std::vector<Value>& old = betas.is_list() ? betas.as_list() : betas.as_tuple().items;
  group.options.set("betas", Tuple{{Value(momentum), old.at(1)}});
}

void prepare_cycle_momentum(Optimizer& optimizer, const std::vector<double>& base_momentum,
                            const std::vector<double>& max_momentum) {
  std::vector<ParamGroup>& groups = optimizer.param_groups();
  if (!has_betas(optimizer) && groups.front().options.find("momentum") == nullptr) {
    throw std::invalid_argument(
        "optimizer must support momentum or beta1 with `cycle_momentum` option enabled");
  }
  const auto highest = per_group("max_momentum", max_momentum, groups.size());
  const auto lowest = per_group("base_momentum", base_momentum, groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    set_momentum(groups[i], highest[i]);
    groups[i].options.set("max_momentum", highest[i]);
    groups[i].options.set("base_momentum", lowest[i]);
  }
}

}  // namespace lctl
