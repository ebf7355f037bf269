#include "worker/trainer/trainer/run_control.h"

#include <signal.h>

#include <array>
#include <atomic>

namespace lctl {
namespace signals {
namespace {

constexpr std::size_t kMaxChildren = 1024;
std::atomic<bool> received{false};
std::array<std::atomic<int>, kMaxChildren> children{};
std::atomic<std::size_t> child_count{0};

extern "C" void on_sigterm(int) {
  received.store(true, std::memory_order_relaxed);
  const std::size_t count = child_count.load();
  for (std::size_t i = 0; i < count; ++i) {
    if (const int pid = children[i].load(); pid > 0) kill(pid, SIGTERM);
  }
}

}  // namespace

void install() {
  struct sigaction action{};
  action.sa_handler = on_sigterm;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
}

bool sigterm_received() { return received.load(std::memory_order_relaxed); }

void forward_to(int child_pid) {
  const std::size_t slot = child_count.load();
  if (slot >= kMaxChildren) return;
  children[slot].store(child_pid);
  child_count.store(slot + 1);
}

void raise_sigterm_flag() { received = true; }

void clear() {
  received = false;
  child_count = 0;
}

}  // namespace signals

void RunControl::begin_fit(std::unique_ptr<BoundaryAgreement> agreement,
                           const FitProgress& progress, bool rank_zero, Save save) {
  agreement_ = std::move(agreement);
  progress_ = &progress;
  rank_zero_ = rank_zero;
  save_ = std::move(save);
  last_checkpoint_ = clock_.monotonic_now();
}

void RunControl::end_fit() { agreement_.reset(); }

void RunControl::at_boundary() {
  if (!agreement_ || !options_.orchestrated) return;
  if (signals::sigterm_received()) {
    agreement_->request(BoundaryAction::kStop);
  } else if (rank_zero_ && options_.checkpoint_every_ms > 0) {
    const auto since = clock_.monotonic_now() - last_checkpoint_;
    if (since >= std::chrono::milliseconds(options_.checkpoint_every_ms))
      agreement_->request(BoundaryAction::kCheckpoint);
  }
  const std::optional<BoundaryAction> action = agreement_->poll(progress_->batches_that_stepped);
  if (!action) return;
  save_(*action);
  if (*action == BoundaryAction::kStop) throw StopRequested();
  last_checkpoint_ = clock_.monotonic_now();
}

}  // namespace lctl
