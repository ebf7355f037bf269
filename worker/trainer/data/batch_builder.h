// A batch in the making, to which samples are copied as soon as there are any.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/data/batch.h"

namespace lctl {

// Memory for a batch's tensor, uninitialised and contiguous; any thread. Null stands for ordinary
// memory; with a device it gives memory that the device reads directly.
using BatchMemory = std::function<at::Tensor(at::IntArrayRef sizes, at::ScalarType dtype)>;

// The batch with every tensor copied to such memory; itself for ordinary memory.
Batch in_memory(Batch batch, const BatchMemory& memory);

// What collate() makes of the samples, but without having them all at a time: each is copied to its
// row while it is still in the cache of the processor that made it, and several threads may make
// samples of one batch.
//
// Thread rule: put() and columns() by any threads, each row once; finish() after all of them.
class BatchBuilder {
 public:
  // A tensor of a data set whose samples are lists of tensors: what one sample has of it.
  struct Column {
    std::vector<std::int64_t> sizes;
    at::ScalarType dtype = at::kFloat;
    friend bool operator==(const Column&, const Column&) = default;
  };

  explicit BatchBuilder(std::size_t rows, BatchMemory memory = nullptr);

  std::size_t rows() const { return present_.size(); }

  // The sample of that row. The first one decides on shapes; others that do not fit are kept as
  // they are until finish().
  void put(std::size_t row, Batch sample);

  // For data sets that write rows themselves: a tensor [rows, *sizes] for each of `columns`. Null
  // when the batch has another layout already; put() serves then. Rows are there once they are
  // marked.
  const std::vector<at::Tensor>* columns(std::span<const Column> columns);
  void mark(std::size_t first, std::size_t count);

  // put() of a list of which one tensor is still to be made: the memory for it, uninitialised and
  // contiguous, as `column` says. Null when the batch has another layout, and nothing is put then;
  // else the row is there once it is marked.
  void* put_around(std::size_t row, const Batch::List& sample, std::size_t missing,
                   const Column& column);

  // Rows that nobody has put are left out. Throws std::invalid_argument naming two differing
  // shapes, as collate() does, and BadSample when there is no row at all.
  Batch finish();

 private:
  // The structure of all samples: a leaf by its number, or parts.
  struct Node {
    enum class Kind : std::uint8_t { kTensor, kOther, kList, kMap };
    Kind kind = Kind::kOther;
    std::size_t leaf = 0;
    std::vector<Node> parts;
    std::vector<std::string> keys;
  };

  at::Tensor empty(at::IntArrayRef sizes, at::ScalarType dtype) const;
  Node layout_of(const Batch& sample);
  Node new_tensor(at::IntArrayRef sizes, at::ScalarType dtype);
  bool fits(const Node& node, const Batch& sample) const;
  bool is(const Node& node, const Column& column) const;
  void copy(const Node& node, std::size_t row, const Batch& sample);
  Batch whole(const Node& node);
  Batch row_of(const Node& node, std::size_t row) const;
  Batch collated_one_by_one();

  const BatchMemory memory_;
  std::vector<unsigned char> present_;  // by row; not bits: threads write neighbours

  std::once_flag laid_out_;
  // Written once, under laid_out_.
  Node root_;
  std::vector<at::Tensor> tensors_;        // by leaf; undefined for one of another kind
  std::vector<std::vector<Batch>> other_;  // by leaf, then by row: texts, unusual tensors

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::vector<std::pair<std::size_t, Batch>> odd_;  // rows that do not fit
};

}  // namespace lctl
