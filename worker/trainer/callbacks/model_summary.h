// Prints the layers of the model when fit starts.
#pragma once

#include <cstdint>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// max_depth: 1 = the module's children, -1 = all, 0 = nothing. Thread rule: one strand only.
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

// "301  ", "1.8 K": Lightning's short form of a count.
std::string human_readable_count(std::int64_t count);

}  // namespace lctl
