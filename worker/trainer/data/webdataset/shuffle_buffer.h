// Shuffles a stream within a window.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace lctl::webdataset {

// webdataset's `shuffle(bufsize, initial)`, step for step: each item that is asked for takes two in
// until the buffer is full, and as many more as the first `initial` need; a random one of the
// buffer leaves, and the last takes its place. Thread rule: one strand only.
template <typename T>
class ShuffleBuffer {
 public:
  // capacity 0: nothing is shuffled.
  ShuffleBuffer(std::size_t capacity, std::size_t initial)
      : capacity_(capacity), initial_(initial < capacity ? initial : capacity) {}

  // The next item; nothing when source() returned nothing and the buffer is empty: then it begins
  // anew. below(n) is a random number in [0, n). What source() throws is passed on, nothing is
  // lost.
  template <typename Source, typename Below>
  std::optional<T> next(Source&& source, Below&& below) {
    if (capacity_ == 0) return source();
    while (!ended_) {
      if (!take(source)) break;
      if (items_.size() < capacity_) take(source);
      if (items_.size() >= initial_) return pick(below);
    }
    if (!items_.empty()) return pick(below);
    ended_ = false;
    return std::nullopt;
  }

 private:
  template <typename Source>
  bool take(Source& source) {
    if (ended_) return false;
    std::optional<T> item = source();
    ended_ = !item.has_value();
    if (item.has_value()) items_.push_back(std::move(*item));
    return item.has_value();
  }

  template <typename Below>
  T pick(Below& below) {
    const auto at = static_cast<std::size_t>(below(items_.size()));
    std::swap(items_[at], items_.back());
    T item = std::move(items_.back());
    items_.pop_back();
    return item;
  }

  std::size_t capacity_;
  std::size_t initial_;
  std::vector<T> items_;
  bool ended_ = false;
};

}  // namespace lctl::webdataset
