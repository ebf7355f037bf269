#include "worker/trainer/precision/precision.h"

#include <ATen/autocast_mode.h>
#include <c10/core/DefaultDtype.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/trainable_module.h"
#include "worker/trainer/precision/grad_scaler.h"

namespace lctl {
namespace {

// Immutable.
class FullPrecision final : public Precision {
 public:
  std::string name() const override { return "32-true"; }
};

// The module and its floating inputs in another format: 64-true, bf16-true, 16-true.
// Thread rule: one strand only.
class CastPrecision final : public Precision {
 public:
  CastPrecision(std::string name, at::ScalarType dtype) : name_(std::move(name)), dtype_(dtype) {}

  std::string name() const override { return name_; }
  void convert_module(TrainableModule& module) override { module.move_to(module.device(), dtype_); }

  Batch convert_input(Batch batch) override {
    return batch.transformed([this](const at::Tensor& tensor) {
      return tensor.is_floating_point() ? tensor.to(dtype_) : tensor;
    });
  }

  void enter_forward() override {
    before_ = c10::get_default_dtype();
    c10::set_default_dtype(c10::scalarTypeToTypeMeta(dtype_));
  }
  void leave_forward() override { c10::set_default_dtype(before_); }

 private:
  std::string name_;
  at::ScalarType dtype_;
  caffe2::TypeMeta before_;
};

// Autocast around the steps; weights stay float32. Thread rule: one strand only.
class AutocastPrecision : public Precision {
 public:
  AutocastPrecision(std::string name, at::ScalarType dtype, c10::DeviceType device)
      : name_(std::move(name)), dtype_(dtype), device_(device) {}

  std::string name() const override { return name_; }

  void enter_forward() override {
    enabled_before_ = at::autocast::is_autocast_enabled(device_);
    dtype_before_ = at::autocast::get_autocast_dtype(device_);
    cache_before_ = at::autocast::is_autocast_cache_enabled();
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, dtype_);
    at::autocast::set_autocast_cache_enabled(false);
    at::autocast::increment_nesting();
  }

  void leave_forward() override {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, enabled_before_);
    at::autocast::set_autocast_dtype(device_, dtype_before_);
    at::autocast::set_autocast_cache_enabled(cache_before_);
  }

 private:
  const std::string name_;
  const at::ScalarType dtype_;
  const c10::DeviceType device_;
  bool enabled_before_ = false;
  bool cache_before_ = true;
  at::ScalarType dtype_before_ = at::kBFloat16;
};

// float16 has a small range, so the loss is scaled. Thread rule: one strand only.
class Fp16Mixed final : public AutocastPrecision {
 public:
  explicit Fp16Mixed(c10::Device device)
      : AutocastPrecision("16-mixed", at::kHalf, device.type()), scaler_(device) {}

  std::string state_key() const override { return "MixedPrecision"; }
  checkpoint::Dict state_dict() const override { return scaler_.state_dict(); }
  void load_state_dict(const checkpoint::Dict& state) override { scaler_.load_state_dict(state); }

  at::Tensor pre_backward(const at::Tensor& loss) override { return scaler_.scale(loss); }

  void optimizer_step(Optimizer& optimizer, bool automatic, const LossClosure& closure,
                      const std::function<void()>& before_update) override {
    if (optimizer.evaluates_repeatedly())
      throw MisconfigurationException("AMP and the LBFGS optimizer are not compatible.");
    const bool update = closure().defined() || !automatic;
    if (update) scaler_.unscale(optimizer);
    before_update();
    if (!update) return;
    scaler_.step(optimizer);
    scaler_.update();
  }

 private:
  GradScaler scaler_;
};

constexpr std::string_view kAllowed =
    "('transformer-engine', 'transformer-engine-float16', '16-true', '16-mixed', 'bf16-true', "
    "'bf16-mixed', '32-true', "
    "'64-true', 64, 32, 16, '64', '32', '16', 'bf16')";

}  // namespace

void Precision::optimizer_step(Optimizer& optimizer, bool /*automatic*/, const LossClosure& closure,
                               const std::function<void()>& before_update) {
  optimizer.step([&] {
    at::Tensor loss = closure();
    before_update();
    return loss;
  });
}

std::string canonical_precision(std::string_view given) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kNames = {{
      {"32", "32-true"},
      {"32-true", "32-true"},
      {"64", "64-true"},
      {"64-true", "64-true"},
      {"16", "16-mixed"},
      {"16-mixed", "16-mixed"},
      {"bf16", "bf16-mixed"},
      {"bf16-mixed", "bf16-mixed"},
      {"16-true", "16-true"},
      {"bf16-true", "bf16-true"},
      {"transformer-engine", "transformer-engine"},
      {"transformer-engine-float16", "transformer-engine-float16"},
  }};
  for (const auto& [spelling, canonical] : kNames) {
    if (given != spelling) continue;
    if (given == "16" || given == "bf16") {
      console::warn("`precision=" + std::string(given) +
                    "` is supported for historical reasons but its usage is discouraged. Please "
                    "set your precision to " +
                    std::string(canonical) + " instead!");
    }
    return std::string(canonical);
  }
  throw std::invalid_argument("Precision '" + std::string(given) +
                              "' is invalid. Allowed precision values: " + std::string(kAllowed));
}

std::unique_ptr<Precision> make_fp16_mixed(c10::Device device) {
  return std::make_unique<Fp16Mixed>(device);
}

std::unique_ptr<Precision> make_precision(std::string_view canonical, c10::Device device) {
  if (canonical == "32-true") return std::make_unique<FullPrecision>();
  if (canonical == "64-true") return std::make_unique<CastPrecision>("64-true", at::kDouble);
  if (canonical == "bf16-true") return std::make_unique<CastPrecision>("bf16-true", at::kBFloat16);
  if (canonical == "16-true") return std::make_unique<CastPrecision>("16-true", at::kHalf);
  if (canonical == "16-mixed" && device.is_cpu()) {
    console::warn(
        "You passed `Trainer(accelerator='cpu', precision='16-mixed')` but AMP with fp16 is not "
        "supported on CPU. Using "
        "`precision='bf16-mixed'` instead.");
    canonical = "bf16-mixed";
  }
  if (canonical == "bf16-mixed") {
    console::info("Using bfloat16 Automatic Mixed Precision (AMP)");
    return std::make_unique<AutocastPrecision>("bf16-mixed", at::kBFloat16, device.type());
  }
  if (canonical == "16-mixed") {
    console::info("Using 16bit Automatic Mixed Precision (AMP)");
    return make_fp16_mixed(device);
  }
  throw MisconfigurationException(
      "Precision '" + std::string(canonical) +
      "' is not available in this build; available: 32-true, 64-true, 16-mixed, bf16-mixed, "
      "bf16-true, 16-true");
}

}  // namespace lctl
