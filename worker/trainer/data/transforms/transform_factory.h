// Transforms by the names of a job file.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// Throws std::invalid_argument that starts with `where` for arguments that do not go together.
TransformPtr make_transform(const jobspec::ClassSpec& spec, const std::string& where);

// A `transforms` list of a job file; null for an empty one. `where` is its path in the file
// ("data.init_args.transforms").
TransformPtr make_transforms(std::span<const jobspec::ClassSpec> list, const std::string& where);

// The same from YAML text, for data modules written in C++:
//   const auto train = from_yaml("[{RandomResizedCrop: {size: 224}}, RandomHorizontalFlip]");
// Throws std::invalid_argument with all that is wrong.
TransformPtr from_yaml(std::string_view yaml);

// All names that make_transform() knows.
std::vector<std::string_view> transform_names();

}  // namespace lctl::transforms
