#include "worker/trainer/profilers/module_scope.h"

#include <string>

namespace lctl {

bool module_names_recorded = false;

void ModuleScope::begin(std::string_view name) {
  range_.emplace(at::RecordScope::USER_SCOPE);
  if (range_->isActive()) range_->before("[pl][module]" + std::string(name));
}

}  // namespace lctl
