#include "worker/trainer/trainer/run_control.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace signals {
namespace {

constexpr std::size_t kMaxChildren = 1024;
std::atomic<int> received{0};  // the newest signal that asks to leave; 0 = none
std::atomic<bool> says_interrupt{false};
std::atomic<bool> requeue{false};
std::array<std::atomic<int>, kMaxChildren> children{};
std::atomic<std::size_t> child_count{0};

extern "C" void on_sigterm(int) {
  received.store(SIGTERM, std::memory_order_relaxed);
  const std::size_t count = child_count.load();
  for (std::size_t i = 0; i < count; ++i) {
    if (const int pid = children[i].load(); pid > 0) kill(pid, SIGTERM);
  }
}

extern "C" void on_sigint(int) {
  received.store(SIGINT, std::memory_order_relaxed);
  static constexpr char kText[] =
      "\nDetected KeyboardInterrupt, attempting graceful shutdown ...\n";
  if (says_interrupt.load() && write(STDERR_FILENO, kText, sizeof kText - 1) < 0) {
    // There is nobody to tell.
  }
}

extern "C" void on_sigusr1(int) { requeue.store(true, std::memory_order_relaxed); }

}  // namespace

void install() {
  struct sigaction action{};
  action.sa_handler = on_sigterm;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
}

bool any_received() { return received.load(std::memory_order_relaxed) != 0; }

bool sigterm_received() { return received.load(std::memory_order_relaxed) == SIGTERM; }

void watch_interrupt(bool say) {
  says_interrupt = say;
  struct sigaction action{};
  sigaction(SIGINT, nullptr, &action);
  if (action.sa_handler == SIG_IGN) return;  // started in the background
  action.sa_handler = on_sigint;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

void forward_to(int child_pid) {
  const std::size_t slot = child_count.load();
  if (slot >= kMaxChildren) return;
  children[slot].store(child_pid);
  child_count.store(slot + 1);
}

void watch_requeue() {
  struct sigaction action{};
  sigaction(SIGUSR1, nullptr, &action);
  if (action.sa_handler != SIG_DFL) return;
  action.sa_handler = on_sigusr1;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, nullptr);
}

bool requeue_asked() { return requeue.load(std::memory_order_relaxed); }

void forget_requeue() { requeue = false; }

void raise_sigterm_flag() { received = SIGTERM; }

void clear() {
  received = 0;
  requeue = false;
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

void RunControl::leave() const {
  if (!signals::sigterm_received()) throw KeyboardInterrupt();
  if (options_.orchestrated && agreement_) return;  // it leaves at the next boundary
  console::info("[rank: 0] Received SIGTERM: 15");
  throw SigtermException();
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
