#include "worker/trainer/models/factory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "worker/trainer/models/declarative_module.h"

namespace lctl {

std::shared_ptr<TrainableModule> make_model(const jobspec::ClassSpec& spec,
                                            OptimizerFactory optimizers) {
  const std::vector<std::string_view> names = model_names();
  if (std::find(names.begin(), names.end(), spec.class_name) == names.end()) {
    throw std::invalid_argument(fmt::format("model.class_path: unknown class '{}'; there are {}",
                                            spec.class_name, fmt::join(names, ", ")));
  }
  return std::make_shared<DeclarativeModule>(spec, std::move(optimizers));
}

// Both are the same class: they differ in the defaults of the key table.
std::vector<std::string_view> model_names() { return {"Classifier", "Regressor"}; }

}  // namespace lctl
