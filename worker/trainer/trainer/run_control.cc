#include "worker/trainer/trainer/run_control.h"

#include <optional>
#include <utility>

namespace lctl {

void RunControl::begin_fit(std::unique_ptr<BoundaryAgreement> agreement,
                           const FitProgress& progress, bool rank_zero, Save save) {
  agreement_ = std::move(agreement);
  progress_ = &progress;
  rank_zero_ = rank_zero;
  save_ = std::move(save);
  signals::wait_for_boundary(options_.orchestrated && agreement_ != nullptr);
  last_checkpoint_ = clock_.monotonic_now();
}

void RunControl::end_fit() {
  signals::wait_for_boundary(false);
  agreement_.reset();
}

void RunControl::ask_for_orchestrator() {
  if (signals::sigterm_received()) {
    agreement_->request(BoundaryAction::kStop);
  } else if (rank_zero_ && options_.checkpoint_every_ms > 0) {
    const auto since = clock_.monotonic_now() - last_checkpoint_;
    if (since >= std::chrono::milliseconds(options_.checkpoint_every_ms))
      agreement_->request(BoundaryAction::kCheckpoint);
  }
}

void RunControl::at_boundary() {
  if (!agreement_ || !(options_.orchestrated || options_.requeues)) return;
  if (options_.orchestrated) {
    ask_for_orchestrator();
  } else if (signals::requeue_asked()) {
    agreement_->request(BoundaryAction::kCheckpoint);
  }
  const std::optional<BoundaryAction> action = agreement_->poll(progress_->batches_that_stepped);
  if (!action) return;
  signals::forget_requeue();  // on every rank: the others' signals mean the same
  save_(*action);
  if (*action == BoundaryAction::kStop) throw StopRequested();
  last_checkpoint_ = clock_.monotonic_now();
}

}  // namespace lctl
