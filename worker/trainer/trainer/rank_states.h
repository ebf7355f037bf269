// A value as bytes, to send it from one rank to another.
#pragma once

#include <string>
#include <string_view>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

std::string pack(const checkpoint::Value& value);

// Throws std::runtime_error when the bytes are not pack()'s.
checkpoint::Value unpack(std::string_view bytes);

}  // namespace lctl
