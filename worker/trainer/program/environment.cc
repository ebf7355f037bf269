#include "worker/trainer/program/environment.h"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "worker/trainer/loops/left_out_batches.h"

namespace lctl {
namespace {

std::string text_of(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

}  // namespace

LaunchEnvironment LaunchEnvironment::read() {
  LaunchEnvironment environment;
  environment.spool = text_of("LCTL_SPOOL");
  environment.stage = text_of("LCTL_STAGE");
  environment.pulse = text_of("LCTL_PULSE");
  environment.resume_checkpoint = text_of("LCTL_RESUME_CKPT");
  environment.device = text_of("LCTL_DEVICE");
  static_cast<void>(left_out_batches());  // a wrong one is to be said before anything begins
  const std::string every = text_of("LCTL_CHECKPOINT_EVERY_MS");
  if (!every.empty()) {
    const auto [end, error] =
        std::from_chars(every.data(), every.data() + every.size(), environment.checkpoint_every_ms);
    if (error != std::errc() || end != every.data() + every.size() ||
        environment.checkpoint_every_ms < 0) {
      throw std::invalid_argument("environment variable LCTL_CHECKPOINT_EVERY_MS=" + every +
                                  ": expected milliseconds, 0 = none");
    }
  }
  const std::string_view device = environment.device;
  if (!device.empty() && device != "cpu" && !device.starts_with("cuda:")) {
    throw std::invalid_argument("environment variable LCTL_DEVICE=" + environment.device +
                                ": expected cpu or cuda:<index>");
  }
  return environment;
}

}  // namespace lctl
