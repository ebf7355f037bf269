// What the agent tells a rank through its environment (docs/formats/launch.md).
#pragma once

#include <cstdint>
#include <string>

namespace lctl {

// Empty texts and zeros: not set. Thread rule: immutable.
struct LaunchEnvironment {
  std::string spool;                     // LCTL_SPOOL
  std::string stage;                     // LCTL_STAGE
  std::string resume_checkpoint;         // LCTL_RESUME_CKPT
  std::string device;                    // LCTL_DEVICE: "cpu" or "cuda:<index>"
  std::int64_t checkpoint_every_ms = 0;  // LCTL_CHECKPOINT_EVERY_MS

  bool orchestrated() const { return !stage.empty(); }

  // Throws std::invalid_argument that names the variable.
  static LaunchEnvironment read();
};

}  // namespace lctl
