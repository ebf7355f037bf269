// SIGINT and SIGTERM of this process as stop tokens.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

#include "client/cli/environment.h"

namespace lctl::cli {

// At most one at a time (LCTL_CHECK). Until a token is asked for, the signals keep their default
// effect: they end the program. Thread rule: internally locked.
class SignalInterrupts final : public Interrupts {
 public:
  SignalInterrupts();
  ~SignalInterrupts() override;
  SignalInterrupts(const SignalInterrupts&) = delete;
  SignalInterrupts& operator=(const SignalInterrupts&) = delete;

  std::stop_token first() override;
  std::stop_token second() override;

 private:
  void listen();
  void wait_for_signals();

  std::stop_source first_;
  std::stop_source second_;
  std::atomic<bool> listening_ = false;
  int read_end_ = -1;
  int write_end_ = -1;
  std::thread waiter_;
};

}  // namespace lctl::cli
