#include "client/cli/signal_interrupts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/check.h"

namespace lctl::cli {
namespace {

// The pipe's write end for the handler: all that it may do is write to it.
std::atomic<int> handler_pipe = -1;

constexpr char kSignal = 's';
constexpr char kEnd = 'e';

void on_signal(int) {
  const int saved = errno;
  const char byte = kSignal;
  [[maybe_unused]] const ssize_t written = ::write(handler_pipe, &byte, 1);
  errno = saved;
}

void set_disposition(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

SignalInterrupts::SignalInterrupts() {
  int ends[2];
  LCTL_CHECK(::pipe2(ends, O_CLOEXEC) == 0, "a process has two free descriptors when it starts");
  read_end_ = ends[0];
  write_end_ = ends[1];
  LCTL_CHECK(handler_pipe.exchange(write_end_) == -1, "one object answers for the signals");
}

SignalInterrupts::~SignalInterrupts() {
  if (listening_) {
    set_disposition(SIG_DFL);
    const char byte = kEnd;
    [[maybe_unused]] const ssize_t written = ::write(write_end_, &byte, 1);
    waiter_.join();
  }
  handler_pipe = -1;
  ::close(read_end_);
  ::close(write_end_);
}

void SignalInterrupts::listen() {
  if (listening_.exchange(true)) return;
  waiter_ = std::thread([this] { wait_for_signals(); });
  set_disposition(on_signal);
}

void SignalInterrupts::wait_for_signals() {
  for (;;) {
    char byte = 0;
    const ssize_t n = ::read(read_end_, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || byte == kEnd) return;
    if (!first_.request_stop()) second_.request_stop();
  }
}

std::stop_token SignalInterrupts::first() {
  listen();
  return first_.get_token();
}

std::stop_token SignalInterrupts::second() {
  listen();
  return second_.get_token();
}

}  // namespace lctl::cli
