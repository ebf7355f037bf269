#include "worker/trainer/program/environment.h"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace lctl {
namespace {

std::string text_of(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// "0:12,0:13"
std::vector<BatchPlace> batch_places(std::string_view text) {
  std::vector<BatchPlace> places;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    BatchPlace place;
    auto read = std::from_chars(at, end, place.epoch);
    bool right = read.ec == std::errc() && read.ptr != end && *read.ptr == ':';
    if (right) read = std::from_chars(read.ptr + 1, end, place.batch);
    right = right && read.ec == std::errc() && place.epoch >= 0 && place.batch >= 0 &&
            (read.ptr == end || (*read.ptr == ',' && read.ptr + 1 != end));
    if (!right) {
      throw std::invalid_argument("environment variable LCTL_SKIP_BATCHES=" + std::string(text) +
                                  ": expected <epoch>:<batch>,<epoch>:<batch>,…");
    }
    places.push_back(place);
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return places;
}

}  // namespace

LaunchEnvironment LaunchEnvironment::read() {
  LaunchEnvironment environment;
  environment.spool = text_of("LCTL_SPOOL");
  environment.stage = text_of("LCTL_STAGE");
  environment.resume_checkpoint = text_of("LCTL_RESUME_CKPT");
  environment.device = text_of("LCTL_DEVICE");
  environment.skip_batches = batch_places(text_of("LCTL_SKIP_BATCHES"));
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
