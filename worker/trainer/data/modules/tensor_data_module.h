// Arrays in a file as samples: .npy, .npz, .safetensors, IDX.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/modules/map_data_module.h"

namespace lctl {

// Names and defaults are those of the job file.
struct TensorDataOptions {
  std::string path;                        // .npy, .npz, .safetensors, IDX; a path or a URL
  std::string features = "x";              // the array in it; .npy and IDX files have one
  std::optional<std::string> target_path;  // where the targets are; unset = in the same file
  std::string target = "y";
  double scale = 1.0;  // features become float32 and are divided by it; 1: they stay as they are
  SplitOptions split;
  LoadingOptions loading;
};

// Sample i is (features[i], target[i]). Arrays that are stored as they are in memory are mapped,
// and read when a batch needs them, so they may be larger than memory.
class TensorDataModule final : public MapDataModule {
 public:
  explicit TensorDataModule(TensorDataOptions options);
  std::string type_name() const override { return "TensorDataModule"; }

 private:
  std::vector<std::string> inputs() const override;
  DatasetSplits load() override;

  TensorDataOptions options_;
};

}  // namespace lctl
