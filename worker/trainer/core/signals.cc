#include "worker/trainer/core/signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace signals {
namespace {

constexpr std::size_t kMaxChildren = 1024;
std::atomic<int> received{0};  // the newest signal that asks to leave; 0 = none
std::atomic<bool> waits_for_boundary{false};
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

void wait_for_boundary(bool serving) { waits_for_boundary = serving; }

bool ends_run() {
  const int signal = received.load(std::memory_order_relaxed);
  return signal != 0 && (signal != SIGTERM || !waits_for_boundary.load());
}

void throw_received() {
  if (!sigterm_received()) throw KeyboardInterrupt();
  console::info("[rank: 0] Received SIGTERM: 15");
  throw SigtermException();
}

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
  waits_for_boundary = false;
  requeue = false;
  child_count = 0;
}

}  // namespace signals

}  // namespace lctl
