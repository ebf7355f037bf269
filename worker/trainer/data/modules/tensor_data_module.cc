#include "worker/trainer/data/modules/tensor_data_module.h"

#include <fmt/format.h>

#include <utility>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/open_array_file.h"
#include "worker/trainer/data/modules/input_files.h"

namespace lctl {
namespace {

// A file with one array does not need its name.
at::Tensor array_of(const std::string& path, const std::string& name) {
  const std::string file = local_file(path);
  const auto arrays = open_array_file(file);
  const bool nameless = arrays->names() == std::vector<std::string>{""};
  return arrays->get(nameless ? "" : name);
}

}  // namespace

TensorDataModule::TensorDataModule(TensorDataOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {
  check(options_.split);
}

std::vector<std::string> TensorDataModule::inputs() const {
  std::vector<std::string> files{options_.path};
  if (options_.target_path) files.push_back(*options_.target_path);
  return files;
}

DatasetSplits TensorDataModule::load() {
  at::Tensor x = array_of(options_.path, options_.features);
  const at::Tensor y = array_of(options_.target_path.value_or(options_.path), options_.target);
  if (x.dim() == 0 || y.dim() == 0 || x.size(0) != y.size(0)) {
    throw BadSample(fmt::format("{}: `{}` has {} samples and `{}` has {}; there must be as many",
                                options_.path, options_.features, x.dim() == 0 ? 0 : x.size(0),
                                options_.target, y.dim() == 0 ? 0 : y.size(0)));
  }
  if (options_.scale != 1.0) x = x.to(at::kFloat).div(static_cast<float>(options_.scale));
  return split(std::make_shared<TensorDataset>(std::vector<at::Tensor>{x, y}), options_.split);
}

}  // namespace lctl
