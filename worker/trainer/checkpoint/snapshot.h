// A value as it is at one moment, so that it can be written while training goes on.
#pragma once

#include <c10/core/Event.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "worker/trainer/checkpoint/pickle_writer.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// Makes memory of the host one that a device can write to directly, until the handle is gone; null
// where that is not possible (Accelerator::pin). Any thread.
using PinMemory = std::function<std::shared_ptr<void>(void* memory, std::size_t bytes)>;

// Memory of the host for the tensors of one snapshot. It is kept from snapshot to snapshot: a copy
// into memory that is there takes a tenth of the time of one into fresh pages. Thread rule: caller
// locks.
class SnapshotMemory {
 public:
  explicit SnapshotMemory(PinMemory pin = nullptr) : pin_(std::move(pin)) {}

  // At least `bytes` bytes, all pages there; what it held is gone when it has to grow. Throws
  // std::bad_alloc.
  void reserve(std::size_t bytes);

  std::size_t capacity() const { return capacity_; }
  std::byte* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  PinMemory pin_;
  std::unique_ptr<std::byte, Free> memory_;
  std::shared_ptr<void> pinned_;  // goes before the memory
  std::size_t capacity_ = 0;
};

// Bytes of memory that snapshot() of it needs.
std::size_t snapshot_bytes(const Pickled& pickled);

// A copy whose tensors all lie in memory of the host; those of a device are on their way there.
class Snapshot {
 public:
  // Waits for what is on its way. Any thread, but one at a time.
  const Pickled& wait() const;

 private:
  friend Snapshot snapshot(Pickled pickled, SnapshotMemory& memory);
  Pickled pickled_;
  std::vector<c10::Event> arrived_;  // behind the copies of each device
};

// Copies all tensors to `memory`, which must live as long as the result is used: those of the host
// at once, on all cores of the calling thread. Copies from a device are put into its current
// stream, so what is computed there later does not change them, and nobody waits for them here.
Snapshot snapshot(Pickled pickled, SnapshotMemory& memory);

}  // namespace lctl::checkpoint
