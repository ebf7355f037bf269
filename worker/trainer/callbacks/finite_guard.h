// FiniteGuard: what to do about gradients that are NaN or infinite.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/callbacks/roll_back_point.h"

namespace lctl {

enum class NonFiniteAction : std::uint8_t {
  kStop,      // training fails, in words that say where it began
  kSkip,      // the step leaves the parameters and the optimizer's state as they are
  kRollBack,  // a job of an lctl server goes on from before it, without its batches
};

struct FiniteGuardOptions {
  NonFiniteAction action = NonFiniteAction::kStop;
  // kSkip: so many steps in a row may be skipped; one more ends training as kStop does.
  std::int64_t max_skipped = 10;
  // kRollBack: the job fails when it was rolled back so often before.
  std::int64_t max_roll_backs = 3;
};

// Looks at the gradients of an optimizer's parameters before each step of it, after the ranks have
// averaged them, so that all ranks decide alike. A failure names the step, the loss, the first
// parameters whose gradient is not finite, the first layer that gives such values (the forward pass
// is run once more, of declarative models) and the values of the batch. Waits for the device once a
// step: on a GPU that costs what reading the loss costs. With 16-bit scaled gradients (precision
// 16-mixed) infinite gradients belong to the search for a scale; there only a loss that is not
// finite counts. Thread rule: one strand only (the training thread).
class FiniteGuard final : public Callback {
 public:
  // Throws MisconfigurationException when a number is negative.
  explicit FiniteGuard(FiniteGuardOptions options = {});

  std::string type_name() const override { return "FiniteGuard"; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  void on_train_batch_start(Trainer& trainer, TrainableModule& module, const Batch& batch,
                            std::int64_t batch_idx) override;
  void on_before_backward(Trainer& trainer, TrainableModule& module,
                          const at::Tensor& loss) override;
  void on_before_optimizer_step(Trainer& trainer, TrainableModule& module,
                                Optimizer& optimizer) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                          const Batch& batch, std::int64_t batch_idx) override;

  std::int64_t skipped() const { return skipped_; }  // since training began

 private:
  bool is_finite(Trainer& trainer, Optimizer& optimizer) const;
  std::string diagnosis(Trainer& trainer, TrainableModule& module);

  const FiniteGuardOptions options_;
  Batch batch_;  // of this step
  RollBackPoint point_;
  std::int64_t batch_idx_ = 0;
  at::Tensor loss_;
  std::int64_t skipped_ = 0;
  std::int64_t in_a_row_ = 0;
};

// "float32 [64, 784], 12 of 50176 values are not finite, the others -1 to 3.5".
std::string describe_values(const at::Tensor& tensor);

}  // namespace lctl
