// Loggers that follow a run closer than through what is logged.
#pragma once

#include <memory>
#include <vector>

namespace lctl {

class Callback;

// A Logger that is one, too, has callbacks of its own: the trainer asks for them on rank 0 whenever
// it connects callbacks, and adds those that it has not. Thread rule: one strand only (the training
// thread).
class LoggerWithCallbacks {
 public:
  virtual ~LoggerWithCallbacks() = default;

  virtual std::vector<std::shared_ptr<Callback>> callbacks() = 0;
};

}  // namespace lctl
