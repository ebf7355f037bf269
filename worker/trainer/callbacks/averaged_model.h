// A second set of a model's weights that follows the first: torch.optim.swa_utils.AveragedModel.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {

// The next average from the average and the current value, `count` values having gone into it.
// `next_count` is count + 1 as an int64 tensor of no dimension. May return any dtype.
using AverageFunction = std::function<at::Tensor(
    const at::Tensor& average, const at::Tensor& current, const at::Tensor& next_count)>;

// All values with the same weight: average + (current - average) / (count + 1).
AverageFunction equal_average();
// decay * average + (1 - decay) * current.
AverageFunction exponential_average(double decay);

// Made from a module whose layers exist; keeps hold of its tensors, which may move to a device or
// change dtype later. Tensors that the module uses twice are averaged once. No method records
// gradients. Thread rule: one strand only (the training thread).
class AveragedModel {
 public:
  enum class Part : std::uint8_t { kParameters, kBuffers, kAll };

  // Copies the values; the copies live on `device`.
  AveragedModel(const TrainableModule& module, c10::Device device);

  void move_to(c10::Device device);

  // The first value (count 0) is taken over as it is.
  void update(Part part, std::int64_t count, const AverageFunction& average);
  void copy_from_module(Part part);
  void copy_to_module(Part part);
  void swap_with_module();

  // The averages under the module's names, in the order of its state_dict. The tensors are live.
  checkpoint::Dict state_dict() const;
  // Throws std::runtime_error that names what is missing or has another shape. Not strict: takes
  // what fits the names.
  void load_state_dict(const checkpoint::Dict& state, bool strict);

 private:
  struct Item {
    std::string name;
    at::Tensor average;
    at::Tensor current;  // the module's own
    bool is_parameter = true;
    bool repeated = false;  // the tensor of an earlier item under another name
  };

  template <typename Visit>
  void for_each(Part part, const Visit& visit);

  std::vector<Item> items_;
};

}  // namespace lctl
