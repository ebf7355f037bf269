// The exceptions that a run ends with. Each message is one line that a person can act on.
#pragma once

#include <stdexcept>
#include <string>

namespace lctl {

// The configuration cannot work, whatever the data: trying again cannot help.
class MisconfigurationException : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Somebody wants the run to end: no fault of its data or its model, and nothing to add to.
class RunInterrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The run was asked to stop by SIGTERM. Not a failure.
class SigtermException : public RunInterrupted {
 public:
  SigtermException() : RunInterrupted("stopped by SIGTERM") {}
};

// Ctrl-C. Callbacks have been told, as of every exception.
class KeyboardInterrupt : public RunInterrupted {
 public:
  KeyboardInterrupt() : RunInterrupted("KeyboardInterrupt") {}
};

// A tuner has found what it looked for and leaves the fit: not an error. Not a std::exception, so
// that nobody takes it for one.
struct TunerExit {};

}  // namespace lctl
