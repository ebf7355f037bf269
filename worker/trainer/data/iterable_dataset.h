// Data sets that are read from front to back: torch's IterableDataset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/batch_builder.h"
#include "worker/trainer/data/random_stream.h"

namespace lctl {

// A sample whose bytes are known, but not read, decoded or transformed yet: that is `make` or
// `put`; one of them is called, once at most, by any thread.
struct PendingSample {
  std::function<Batch(RandomStream& random)> make;
  std::string name;  // where it comes from, for messages: "shard-000001.tar: 000017.jpg"
  // The same, as that row of a batch, by data sets that can do so cheaper; may be empty.
  std::function<void(BatchBuilder& batch, std::size_t row, RandomStream& random)> put;
};

// One pass over this rank's part. Thread rule: one strand only; the samples that it has handed out
// may outlive it and be made by other threads meanwhile.
class SampleStream {
 public:
  virtual ~SampleStream() = default;

  // The next sample, cheaply, in an order that depends on the pass alone; nothing at the end.
  // Throws BadSample for a source that cannot be read further, and goes on behind it when called
  // again.
  virtual std::optional<PendingSample> next() = 0;
};

// Which pass, and whose part of it.
struct StreamPass {
  std::uint64_t seed = 0;  // drawn from torch's generator for each pass; the same on all ranks
  std::int64_t epoch = 0;
  int rank = 0;
  int world_size = 1;
};

// Thread rule: immutable once a loader uses it.
class IterableDataset {
 public:
  virtual ~IterableDataset() = default;

  virtual std::unique_ptr<SampleStream> iterate(const StreamPass& pass) const = 0;

  // Samples in one pass of that rank; empty when nobody knows before the end.
  virtual std::optional<std::int64_t> size(int /*rank*/, int /*world_size*/) const {
    return std::nullopt;
  }

  // Whether the order differs from pass to pass.
  virtual bool shuffles() const { return false; }
};

}  // namespace lctl
