#include "worker/trainer/data/loaded_bytes.h"

#include <atomic>

namespace lctl {
namespace {

std::atomic<std::int64_t>& counter() {
  static std::atomic<std::int64_t> bytes = 0;
  return bytes;
}

}  // namespace

std::int64_t loaded_bytes() { return counter(); }
void count_loaded_bytes(std::int64_t bytes) { counter() += bytes; }

}  // namespace lctl
