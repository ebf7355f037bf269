#include "worker/trainer/strategies/boundary_agreement.h"
#include "worker/trainer/strategies/strategy.h"

namespace lctl {
namespace {

// Thread rule: one strand only.
class SingleDeviceStrategy final : public Strategy {
 public:
  explicit SingleDeviceStrategy(c10::Device device) : device_(device) {}

  std::string name() const override { return "SingleDeviceStrategy"; }
  const RankLayout& layout() const override { return layout_; }
  c10::Device root_device() const override { return device_; }
  void setup_environment() override {}
  void setup_module(TrainableModule&, bool) override {}
  void teardown() override {}
  void before_training_forward(bool) override {}
  void after_training_forward(bool, const at::Tensor&) override {}
  void before_evaluation_forward() override {}
  at::Tensor reduce(const at::Tensor& value, Reduction) override { return value; }
  bool reduce_boolean_decision(bool decision, bool) override { return decision; }
  std::string broadcast(const std::string& text) override { return text; }
  std::vector<std::string> gather(const std::string& bytes) override { return {bytes}; }
  at::Tensor all_gather(const at::Tensor& tensor) override { return tensor; }
  void barrier() override {}
  std::unique_ptr<BoundaryAgreement> make_agreement() override {
    return make_immediate_agreement();
  }

 private:
  c10::Device device_;
  RankLayout layout_;
};

}  // namespace

std::unique_ptr<Strategy> make_single_device_strategy(c10::Device device) {
  return std::make_unique<SingleDeviceStrategy>(device);
}

}  // namespace lctl
