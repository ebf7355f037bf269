// The commands of a trainer by the names that people type.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "jobspec/config.h"

namespace lctl::jobspec {

inline constexpr std::array<std::pair<std::string_view, Command>, 5> kCommandNames = {{
    {"fit", Command::kFit},
    {"validate", Command::kValidate},
    {"test", Command::kTest},
    {"predict", Command::kPredict},
    {"tune", Command::kTune},
}};

}  // namespace lctl::jobspec
