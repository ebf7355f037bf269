// The names under which a pickle refers to typed storages and to dtypes.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string_view>

namespace lctl::checkpoint {

// "FloatStorage" for kFloat and so on; "" for a type that has none.
std::string_view storage_class(at::ScalarType type);

// The reverse; nullopt for a foreign name.
std::optional<at::ScalarType> storage_type(std::string_view storage_class);

// True for Python's names of dtypes in module torch: "float32", "int64", …
bool is_dtype_name(std::string_view name);

}  // namespace lctl::checkpoint
