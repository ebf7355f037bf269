#include "tests/simulation/seeded_ids.h"

#include <sys/types.h>

#include <cstddef>
#include <mutex>
#include <random>

namespace lctl::simulation {
namespace {

std::mutex mutex;
// Guarded by it: ids of checkpoints are drawn by the store's writer.
std::mt19937_64 engine;

}  // namespace

void seed_ids(std::uint64_t seed) {
  const std::lock_guard lock(mutex);
  engine.seed(seed);
}

}  // namespace lctl::simulation

// In a program it comes before the C library's.
extern "C" ssize_t getrandom(void* bytes, std::size_t size, unsigned int) {
  const std::lock_guard lock(lctl::simulation::mutex);
  for (std::size_t i = 0; i < size; ++i) {
    static_cast<unsigned char*>(bytes)[i] =
        static_cast<unsigned char>(lctl::simulation::engine() >> 32);
  }
  return static_cast<ssize_t>(size);
}
