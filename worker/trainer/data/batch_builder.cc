#include "worker/trainer/data/batch_builder.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/collate.h"
#include "worker/trainer/data/interleaved_image.h"

namespace lctl {
namespace {

// Can its elements be copied to a row as they are?
bool is_plain(const at::Tensor& tensor) {
  return tensor.defined() && tensor.layout() == at::kStrided && tensor.device().is_cpu() &&
         !tensor.is_quantized() && !tensor.is_conj() && !tensor.is_neg() && !tensor.requires_grad();
}

void copy_to_row(const at::Tensor& sample, const at::Tensor& rows, std::size_t row) {
  if (sample.is_contiguous()) {
    const std::size_t bytes = sample.nbytes();
    if (bytes > 0)
      std::memcpy(static_cast<char*>(rows.mutable_data_ptr()) + row * bytes,
                  sample.const_data_ptr(), bytes);
  } else if (is_interleaved_image(sample)) {
    const auto bytes = static_cast<std::size_t>(sample.numel());
    split_into_planes(sample, static_cast<std::uint8_t*>(rows.mutable_data_ptr()) + row * bytes);
  } else {
    rows.select(0, static_cast<std::int64_t>(row)).copy_(sample);
  }
}

// The structure of `node` with what `make` gives for each leaf.
template <typename Node, typename Make>
Batch assembled(const Node& node, const Make& make) {
  switch (node.kind) {
    case Node::Kind::kList: {
      Batch::List parts;
      parts.reserve(node.parts.size());
      for (const Node& part : node.parts) parts.push_back(assembled(part, make));
      return Batch(std::move(parts));
    }
    case Node::Kind::kMap: {
      Batch::Map entries;
      for (std::size_t i = 0; i < node.parts.size(); ++i)
        entries.emplace_back(node.keys[i], assembled(node.parts[i], make));
      return Batch(std::move(entries));
    }
    default:
      return make(node);
  }
}

}  // namespace

Batch in_memory(Batch batch, const BatchMemory& memory) {
  if (!memory) return batch;
  return batch.transformed([&](const at::Tensor& tensor) {
    at::Tensor copy = memory(tensor.sizes(), tensor.scalar_type());
    copy.copy_(tensor);
    return copy;
  });
}

BatchBuilder::BatchBuilder(std::size_t rows, BatchMemory memory)
    : memory_(std::move(memory)), present_(rows, 0) {}

at::Tensor BatchBuilder::empty(at::IntArrayRef sizes, at::ScalarType dtype) const {
  return memory_ ? memory_(sizes, dtype) : at::empty(sizes, dtype);
}

BatchBuilder::Node BatchBuilder::new_tensor(at::IntArrayRef sizes, at::ScalarType dtype) {
  std::vector<std::int64_t> all = {static_cast<std::int64_t>(rows())};
  all.insert(all.end(), sizes.begin(), sizes.end());
  tensors_.push_back(empty(all, dtype));
  other_.emplace_back();
  return {Node::Kind::kTensor, tensors_.size() - 1, {}, {}};
}

BatchBuilder::Node BatchBuilder::layout_of(const Batch& sample) {
  if (sample.is_list()) {
    Node node{Node::Kind::kList, 0, {}, {}};
    node.parts.reserve(sample.size());
    for (const Batch& part : sample.list()) node.parts.push_back(layout_of(part));
    return node;
  }
  if (sample.is_map()) {
    Node node{Node::Kind::kMap, 0, {}, {}};
    for (const auto& [key, part] : sample.map()) {
      node.keys.push_back(key);
      node.parts.push_back(layout_of(part));
    }
    return node;
  }
  if (sample.is_tensor() && is_plain(sample.tensor()))
    return new_tensor(sample.tensor().sizes(), sample.tensor().scalar_type());
  tensors_.emplace_back();
  other_.emplace_back(rows());
  return {Node::Kind::kOther, other_.size() - 1, {}, {}};
}

bool BatchBuilder::fits(const Node& node, const Batch& sample) const {
  switch (node.kind) {
    case Node::Kind::kTensor: {
      if (!sample.is_tensor() || !is_plain(sample.tensor())) return false;
      const at::Tensor& rows = tensors_[node.leaf];
      return sample.tensor().scalar_type() == rows.scalar_type() &&
             sample.tensor().sizes() == rows.sizes().slice(1);
    }
    case Node::Kind::kOther:
      return !sample.is_list() && !sample.is_map();
    case Node::Kind::kList:
      return sample.is_list() && sample.size() == node.parts.size() &&
             std::equal(node.parts.begin(), node.parts.end(), sample.list().begin(),
                        [this](const Node& part, const Batch& of) { return fits(part, of); });
    case Node::Kind::kMap:
      if (!sample.is_map() || sample.size() != node.parts.size()) return false;
      for (std::size_t i = 0; i < node.parts.size(); ++i) {
        const auto& [key, part] = sample.map()[i];
        if (key != node.keys[i] || !fits(node.parts[i], part)) return false;
      }
      return true;
  }
  return false;
}

void BatchBuilder::copy(const Node& node, std::size_t row, const Batch& sample) {
  switch (node.kind) {
    case Node::Kind::kTensor:
      return copy_to_row(sample.tensor(), tensors_[node.leaf], row);
    case Node::Kind::kOther:
      other_[node.leaf][row] = sample;
      return;
    case Node::Kind::kList:
      for (std::size_t i = 0; i < node.parts.size(); ++i)
        copy(node.parts[i], row, sample.list()[i]);
      return;
    case Node::Kind::kMap:
      for (std::size_t i = 0; i < node.parts.size(); ++i)
        copy(node.parts[i], row, sample.map()[i].second);
      return;
  }
}

void BatchBuilder::put(std::size_t row, Batch sample) {
  std::call_once(laid_out_, [&] { root_ = layout_of(sample); });
  if (fits(root_, sample)) {
    copy(root_, row, sample);
  } else {
    const std::lock_guard lock(mutex_);
    odd_.emplace_back(row, std::move(sample));
  }
  present_[row] = 1;
}

const std::vector<at::Tensor>* BatchBuilder::columns(std::span<const Column> columns) {
  std::call_once(laid_out_, [&] {
    root_.kind = Node::Kind::kList;
    for (const Column& column : columns)
      root_.parts.push_back(new_tensor(column.sizes, column.dtype));
  });
  if (root_.kind != Node::Kind::kList || root_.parts.size() != columns.size()) return nullptr;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!is(root_.parts[i], columns[i])) return nullptr;
  }
  return &tensors_;
}

bool BatchBuilder::is(const Node& node, const Column& column) const {
  if (node.kind != Node::Kind::kTensor) return false;
  const at::Tensor& rows = tensors_[node.leaf];
  return rows.scalar_type() == column.dtype &&
         rows.sizes().slice(1) == at::IntArrayRef(column.sizes);
}

void BatchBuilder::mark(std::size_t first, std::size_t count) {
  std::fill_n(present_.begin() + static_cast<std::ptrdiff_t>(first), count, 1);
}

void* BatchBuilder::put_around(std::size_t row, const Batch::List& sample, std::size_t missing,
                               const Column& column) {
  std::call_once(laid_out_, [&] {
    root_.kind = Node::Kind::kList;
    for (std::size_t i = 0; i < sample.size(); ++i)
      root_.parts.push_back(i == missing ? new_tensor(column.sizes, column.dtype)
                                         : layout_of(sample[i]));
  });
  if (root_.kind != Node::Kind::kList || root_.parts.size() != sample.size()) return nullptr;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (i == missing ? !is(root_.parts[i], column) : !fits(root_.parts[i], sample[i]))
      return nullptr;
  }
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (i != missing) copy(root_.parts[i], row, sample[i]);
  }
  const at::Tensor& rows = tensors_[root_.parts[missing].leaf];
  return static_cast<char*>(rows.mutable_data_ptr()) + row * (rows.nbytes() / this->rows());
}

Batch BatchBuilder::finish() {
  const bool all = std::find(present_.begin(), present_.end(), 0) == present_.end();
  return all && odd_.empty() ? whole(root_) : collated_one_by_one();
}

Batch BatchBuilder::whole(const Node& node) {
  return assembled(node, [this](const Node& leaf) {
    if (leaf.kind == Node::Kind::kTensor) return Batch(std::move(tensors_[leaf.leaf]));
    return in_memory(collate(other_[leaf.leaf]), memory_);
  });
}

Batch BatchBuilder::row_of(const Node& node, std::size_t row) const {
  return assembled(node, [this, row](const Node& leaf) {
    if (leaf.kind == Node::Kind::kTensor)
      return Batch(tensors_[leaf.leaf].select(0, static_cast<std::int64_t>(row)));
    return other_[leaf.leaf][row];
  });
}

// Some rows are missing, or differ: collate() knows what to make of them.
Batch BatchBuilder::collated_one_by_one() {
  std::sort(odd_.begin(), odd_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Batch> samples;
  auto odd = odd_.begin();
  for (std::size_t row = 0; row < rows(); ++row) {
    if (present_[row] == 0) continue;
    const bool is_odd = odd != odd_.end() && odd->first == row;
    samples.push_back(is_odd ? std::move((odd++)->second) : row_of(root_, row));
  }
  if (samples.empty()) throw_nothing_left(rows());
  return in_memory(collate(samples), memory_);
}

}  // namespace lctl
