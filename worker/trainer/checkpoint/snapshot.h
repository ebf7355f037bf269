// A value as it is at one moment, so that it can be written while training goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "worker/trainer/checkpoint/pickle_writer.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// Memory of the host for the tensors of one snapshot. It is kept from snapshot to snapshot: a copy
// into memory that is there takes a tenth of the time of one into fresh pages. Thread rule: caller
// locks.
class SnapshotMemory {
 public:
  // At least `bytes` bytes, all pages there; what it held is gone when it has to grow. Throws
  // std::bad_alloc.
  void reserve(std::size_t bytes);

  std::size_t capacity() const { return capacity_; }
  std::byte* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t capacity_ = 0;
};

// Bytes of memory that snapshot() of it needs.
std::size_t snapshot_bytes(const Pickled& pickled);

// Copies all tensors that somebody may still change to `memory`, which must live as long as the
// result is used. On all cores of the calling thread.
Pickled snapshot(Pickled pickled, SnapshotMemory& memory);

}  // namespace lctl::checkpoint
