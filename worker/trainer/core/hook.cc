#include "worker/trainer/core/hook.h"

namespace lctl {

std::string_view hook_name(Hook hook) {
  static constexpr std::string_view kNames[] = {
#define LCTL_HOOK_NAME(name) #name,
      LCTL_HOOKS(LCTL_HOOK_NAME)
#undef LCTL_HOOK_NAME
          "",
  };
  return kNames[static_cast<int>(hook)];
}

}  // namespace lctl
