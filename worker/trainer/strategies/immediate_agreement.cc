#include "worker/trainer/strategies/boundary_agreement.h"

namespace lctl {
namespace {

// Thread rule: one strand only.
class ImmediateAgreement final : public BoundaryAgreement {
 public:
  void request(BoundaryAction action) override {
    if (wanted_ != BoundaryAction::kStop) wanted_ = action;
  }
  std::optional<BoundaryAction> poll(std::int64_t) override {
    const std::optional<BoundaryAction> action = wanted_;
    wanted_.reset();
    return action;
  }

 private:
  std::optional<BoundaryAction> wanted_;
};

}  // namespace

std::unique_ptr<BoundaryAgreement> make_immediate_agreement() {
  return std::make_unique<ImmediateAgreement>();
}

}  // namespace lctl
