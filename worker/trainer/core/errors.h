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

// The run was asked to stop by SIGTERM. Not a failure.
class SigtermException : public std::runtime_error {
 public:
  SigtermException() : std::runtime_error("stopped by SIGTERM") {}
};

// A tuner has found what it looked for and leaves the fit: not an error. Not a std::exception, so
// that nobody takes it for one.
struct TunerExit {};

}  // namespace lctl
