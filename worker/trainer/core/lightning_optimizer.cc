#include "worker/trainer/core/lightning_optimizer.h"

#include "worker/trainer/trainer/trainer.h"

namespace lctl {

void LightningOptimizer::step() {
  trainer_->manual_step(*optimizer_, [] { return at::Tensor(); });
}

void LightningOptimizer::step(const LossClosure& closure) {
  trainer_->manual_step(*optimizer_, closure);
}

}  // namespace lctl
