#include "worker/trainer/program/memory.h"

#include <malloc.h>

#include <climits>

namespace lctl {

void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 16 << 20);
}

}  // namespace lctl
