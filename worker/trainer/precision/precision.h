// In which number formats a run computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/data/batch.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

class TrainableModule;

// Thread rule: one strand only (the training thread).
class Precision {
 public:
  virtual ~Precision() = default;

  virtual std::string name() const = 0;  // "32-true"

  // Key of its state in checkpoints, "" when it has none.
  virtual std::string state_key() const { return {}; }
  virtual checkpoint::Dict state_dict() const { return {}; }
  virtual void load_state_dict(const checkpoint::Dict& /*state*/) {}

  virtual void convert_module(TrainableModule& /*module*/) {}
  virtual Batch convert_input(Batch batch) { return batch; }

  // Around every *_step; calls nest properly. Used through ForwardScope.
  virtual void enter_forward() {}
  virtual void leave_forward() {}

  // The loss that backward starts from.
  virtual at::Tensor pre_backward(const at::Tensor& loss) { return loss; }

  // One optimisation step: `closure` runs forward and backward and gives the loss (undefined when
  // the training step gave none), `before_update` the hooks and clipping. `automatic`: automatic
  // optimisation.
  virtual void optimizer_step(Optimizer& optimizer, bool automatic, const LossClosure& closure,
                              const std::function<void()>& before_update);
};

class ForwardScope {
 public:
  explicit ForwardScope(Precision& precision) : precision_(precision) {
    precision_.enter_forward();
  }
  ~ForwardScope() { precision_.leave_forward(); }
  ForwardScope(const ForwardScope&) = delete;
  ForwardScope& operator=(const ForwardScope&) = delete;

 private:
  Precision& precision_;
};

// `canonical` is one of Lightning's: 32-true, 64-true, 16-mixed, bf16-mixed, bf16-true, 16-true.
// 16-mixed on the CPU becomes bf16-mixed with a warning, as in Lightning. Throws
// MisconfigurationException for others.
std::unique_ptr<Precision> make_precision(std::string_view canonical, c10::Device device);

// float16 autocast with a GradScaler, on any device; what make_precision() gives for 16-mixed on a
// GPU.
std::unique_ptr<Precision> make_fp16_mixed(c10::Device device);

// Lightning's spellings ("32", "bf16", "16") to the canonical one. Throws std::invalid_argument
// "Precision 'foo' is invalid. Allowed precision values: (…)".
std::string canonical_precision(std::string_view given);

}  // namespace lctl
