#include "worker/trainer/callbacks/callback.h"

#include "worker/trainer/core/class_name.h"

namespace lctl {

std::string Callback::type_name() const { return class_name_of(typeid(*this)); }

}  // namespace lctl
