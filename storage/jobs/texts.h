// Names and texts that come from outside: bounds, and how messages show them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lctl::storage {

// InvalidArgument, naming `what`, for a text that is empty, longer than `max_bytes`, or has a
// control character.
absl::Status check_line(std::string_view what, std::string_view text, std::size_t max_bytes);

// InvalidArgument for a text longer than `max_bytes`.
absl::Status check_text(std::string_view what, std::string_view text, std::size_t max_bytes);

// The text in a message: its beginning, without control characters.
std::string shown(std::string_view text);

}  // namespace lctl::storage
