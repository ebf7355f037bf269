// What happened in a schedule, as a hash and, when asked for, in words: two runs that did the same
// have the same hash.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace lctl::simulation {

// Thread rule: caller locks.
class Trace {
 public:
  explicit Trace(bool keeps_lines) : keeps_lines_(keeps_lines) {}

  void add(Duration time, std::string_view what) {
    mix(static_cast<std::uint64_t>(time.count()));
    for (const char byte : what) mix(static_cast<unsigned char>(byte));
    if (!keeps_lines_) return;
    const std::string millis = std::to_string(time.count() / 1000);
    lines_.push_back(std::string(9 - std::min<std::size_t>(9, millis.size()), ' ') + millis +
                     " ms  " + std::string(what));
  }

  std::uint64_t hash() const { return hash_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  // FNV-1a.
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3; }

  const bool keeps_lines_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::vector<std::string> lines_;
};

}  // namespace lctl::simulation
