// Random numbers of one sample: they depend on the pass, the sample and its place, and not on who
// loads it when.
#pragma once

#include <ATen/core/PhiloxRNGEngine.h>

#include <cstdint>

namespace lctl {

// A stream of its own for each (seed of the pass, index in the data set, place in the pass), so
// that augmented batches have the same bits for any number of loader workers, and after any resume.
// Generator: Philox4x32-10 (Salmon et al. 2011), ATen's. Thread rule: caller locks.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint64_t index, std::uint64_t place)
      : engine_(seed + (index + 1) * 0x9E3779B97F4A7C15ULL, place, 0) {}

  std::uint64_t bits() {
    const std::uint64_t high = engine_();
    return high << 32 | engine_();
  }

  // In [0, 1), 53 bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // 0 <= value < bound; bound >= 1, its bias is below 2^-32 for any bound below 2^32.
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(bound));
  }

  // True with probability p.
  bool chance(double p) { return uniform() < p; }

 private:
  at::Philox4_32 engine_;
};

}  // namespace lctl
