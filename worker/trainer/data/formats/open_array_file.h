// An array by name, from a file of any kind that this folder reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <string_view>

#include "worker/trainer/data/formats/array_file.h"

namespace lctl {

// .npy, .npz and .safetensors files by their names; any other name must belong to an IDX file,
// plain or .gz. Throws std::runtime_error when it cannot be read, BadSample when it is damaged or
// of no known kind.
std::shared_ptr<const ArrayFile> open_array_file(const std::string& path);

// Its array `name`; "" is the only array of a file, whatever its name there. Throws as above, and
// BadSample for a name that is not there, and for "" when there are several.
at::Tensor load_array(const std::string& path, std::string_view name = "");

}  // namespace lctl
