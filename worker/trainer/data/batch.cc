#include "worker/trainer/data/batch.h"

#include <fmt/format.h>

#include <stdexcept>

namespace lctl {
namespace {

const char* kind(const Batch& batch) {
  if (batch.is_none()) return "None";
  if (batch.is_tensor()) return "a tensor";
  if (batch.is_list()) return "a list";
  return batch.is_map() ? "a mapping" : "a text";
}

[[noreturn]] void wrong_kind(const Batch& batch, const char* wanted) {
  throw std::invalid_argument(
      fmt::format("the batch holds {} where {} was expected", kind(batch), wanted));
}

}  // namespace

const at::Tensor& Batch::tensor() const {
  if (!is_tensor()) wrong_kind(*this, "a tensor");
  return std::get<at::Tensor>(data_);
}

const Batch::List& Batch::list() const {
  if (!is_list()) wrong_kind(*this, "a list such as (x, y)");
  return std::get<List>(data_);
}

const Batch::Map& Batch::map() const {
  if (!is_map()) wrong_kind(*this, "a mapping");
  return std::get<Map>(data_);
}

std::size_t Batch::size() const { return is_map() ? map().size() : list().size(); }

const Batch& Batch::operator[](std::size_t index) const {
  const List& items = list();
  if (index >= items.size()) {
    throw std::out_of_range(
        fmt::format("the batch has {} parts; there is no part {}", items.size(), index));
  }
  return items[index];
}

const Batch& Batch::operator[](std::string_view key) const {
  for (const auto& [name, item] : map()) {
    if (name == key) return item;
  }
  throw std::out_of_range(fmt::format("the batch has no part named '{}'", key));
}

}  // namespace lctl
