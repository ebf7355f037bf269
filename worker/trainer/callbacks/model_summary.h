// Prints the layers of the model when fit starts.
#pragma once

#include <cstdint>
#include <string>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Lightning's table, as it prints it where `rich` is not installed. max_depth: 1 = the module's
// children, -1 = all modules, 0 = nothing. With an example_input_array the model runs on it once,
// in evaluation mode and without gradients, on every rank; sizes that cannot be known for certain
// are
// "?" (callbacks/layer_sizes.h). Without one there are no sizes, and FLOPs are 0. Thread rule: one
// strand only.
class ModelSummary final : public Callback {
 public:
  // Throws std::invalid_argument for a depth below -1.
  explicit ModelSummary(std::int64_t max_depth);

  std::string type_name() const override { return "ModelSummary"; }
  Kind kind() const override { return Kind::kModelSummary; }
  void on_fit_start(Trainer& trainer, TrainableModule& module) override;

 private:
  std::int64_t max_depth_;
};

// The table and its footer, lines joined by "\n". `module` is in a run of `trainer`, which tells
// the precision; null: 32 bits, and the example input is used as it is. What the module's forward
// throws passes through.
std::string model_summary(TrainableModule& module, std::int64_t max_depth, Trainer* trainer);

// "301  ", "1.8 K": Lightning's short form of a count.
std::string human_readable_count(std::int64_t count);

}  // namespace lctl
