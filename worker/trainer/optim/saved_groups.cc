#include "worker/trainer/optim/saved_groups.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace lctl {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

double saved_number(const Value& value) {
  return value.is_tensor() ? value.as_tensor().item<double>() : value.as_double();
}

Dict saved_group(const ParamGroup& group, std::int64_t first_index) {
  Dict saved;
  saved.set("lr", group.lr);
  for (const auto& [key, value] : group.options.entries()) saved.set(key.as_string(), value);
  List indices;
  for (std::size_t i = 0; i < group.params.size(); ++i)
    indices.emplace_back(first_index + static_cast<std::int64_t>(i));
  saved.set("params", std::move(indices));
  return saved;
}

void load_group(ParamGroup& group, const Dict& saved) {
  Dict options;
  for (const auto& [key, value] : saved.entries()) {
    const std::string& name = key.as_string();
    if (name == "lr") {
      group.lr = saved_number(value);
    } else if (name != "params") {
      options.set(name, value);
    }
  }
  for (const auto& [key, value] : group.options.entries()) {
    if (options.find(key.as_string()) == nullptr) options.set(key.as_string(), value);
  }
  group.options = std::move(options);
}

void check_saved_groups(const List& saved, const std::vector<ParamGroup>& groups) {
  if (saved.size() != groups.size()) {
    throw std::invalid_argument(fmt::format(
        "loaded state dict has a different number of parameter groups: {} instead of {}",
        saved.size(), groups.size()));
  }
  for (std::size_t g = 0; g < saved.size(); ++g) {
    const std::size_t count = saved[g].as_dict().at("params").as_list().size();
    if (count == groups[g].params.size()) continue;
    throw std::invalid_argument(fmt::format(
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
        "group: group {} has {} parameters in the file and {} here",
        g, count, groups[g].params.size()));
  }
}

}  // namespace lctl
