// What a data loader yields: a tensor, or a list or mapping of such, as Python's collate makes it.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lctl {

// A small immutable-by-convention tree; leaves are tensors (cheap to copy: tensors are shared).
// Accessors throw std::out_of_range or std::invalid_argument that say what the batch is instead.
// Thread rule: caller locks.
class Batch {
 public:
  using List = std::vector<Batch>;
  using Map = std::vector<std::pair<std::string, Batch>>;  // in insertion order

  Batch() = default;                                      // None
  Batch(at::Tensor tensor) : data_(std::move(tensor)) {}  // NOLINT: a tensor is a batch
  Batch(List items) : data_(std::move(items)) {}          // NOLINT
  Batch(Map items) : data_(std::move(items)) {}           // NOLINT
  explicit Batch(std::string text) : data_(std::move(text)) {}

  bool is_none() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_tensor() const { return std::holds_alternative<at::Tensor>(data_); }
  bool is_list() const { return std::holds_alternative<List>(data_); }
  bool is_map() const { return std::holds_alternative<Map>(data_); }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }

  const at::Tensor& tensor() const;
  const List& list() const;
  const Map& map() const;
  std::size_t size() const;                          // of a list or map
  const Batch& operator[](std::size_t index) const;  // of a list
  const Batch& operator[](int index) const { return (*this)[static_cast<std::size_t>(index)]; }
  const Batch& operator[](std::string_view key) const;

  // The tensors of a list of N tensors: const auto [x, y] = batch.tensors<2>();
  template <std::size_t N>
  std::array<at::Tensor, N> tensors() const {
    if (list().size() != N) {
      throw std::invalid_argument("the batch has " + std::to_string(size()) + " parts, not " +
                                  std::to_string(N));
    }
    std::array<at::Tensor, N> parts;
    for (std::size_t i = 0; i < N; ++i) parts[i] = list()[i].tensor();
    return parts;
  }

  // A batch of the same shape with every tensor replaced by fn(tensor).
  template <typename Fn>
  Batch transformed(Fn&& fn) const {
    if (is_tensor()) return Batch(fn(std::get<at::Tensor>(data_)));
    if (is_list()) {
      List items;
      items.reserve(std::get<List>(data_).size());
      for (const Batch& item : std::get<List>(data_)) items.push_back(item.transformed(fn));
      return Batch(std::move(items));
    }
    if (is_map()) {
      Map items;
      for (const auto& [key, item] : std::get<Map>(data_))
        items.emplace_back(key, item.transformed(fn));
      return Batch(std::move(items));
    }
    return *this;
  }

  // Calls fn(tensor) for every tensor, in order.
  template <typename Fn>
  void visit(Fn&& fn) const {
    if (is_tensor()) fn(std::get<at::Tensor>(data_));
    if (is_list()) {
      for (const Batch& item : std::get<List>(data_)) item.visit(fn);
    }
    if (is_map()) {
      for (const auto& [key, item] : std::get<Map>(data_)) item.visit(fn);
    }
  }

 private:
  std::variant<std::monostate, at::Tensor, List, Map, std::string> data_;
};

}  // namespace lctl
