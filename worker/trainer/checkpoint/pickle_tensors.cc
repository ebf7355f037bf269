#include "worker/trainer/checkpoint/pickle_tensors.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <limits>

#include "worker/trainer/checkpoint/storage_types.h"

namespace lctl::checkpoint {
namespace {

std::vector<std::int64_t> integers(const Value& value, const char* what,
                                   const PickleCursor& cursor) {
  if (!value.is_tuple()) cursor.fail(fmt::format("a tensor's {} is not a tuple", what));
  if (value.as_tuple().items.size() > 64) cursor.fail("a tensor of more than 64 dimensions");
  std::vector<std::int64_t> result;
  for (const Value& item : value.as_tuple().items) {
    if (!item.is_int() || item.as_int() < 0) {
      cursor.fail(fmt::format("a tensor's {} is malformed", what));
    }
    result.push_back(item.as_int());
  }
  return result;
}

// The last element that the tensor touches must lie in its storage; all sums are overflow-checked.
void check_extent(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                  const std::vector<std::int64_t>& strides, std::int64_t numel,
                  const PickleCursor& cursor) {
  if (sizes.size() != strides.size()) cursor.fail("a tensor's size and stride differ in length");
  std::int64_t last = offset;
  bool empty = false;
  std::int64_t elements = 1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) empty = true;
    std::int64_t extent = 0;
    if (sizes[i] > 0 && (__builtin_mul_overflow(sizes[i] - 1, strides[i], &extent) ||
                         __builtin_add_overflow(last, extent, &last))) {
      cursor.fail("a tensor reaches outside its storage");
    }
    if (!empty && __builtin_mul_overflow(elements, sizes[i], &elements)) {
      cursor.fail("a tensor of impossible size");
    }
  }
  // Overlapping strides could ask for far more elements than were stored.
  const bool outside = empty ? offset > numel : last >= numel || elements > numel;
  if (outside) cursor.fail("a tensor reaches outside its storage");
}

}  // namespace

StorageName storage_name(const Value& persistent_id, const PickleCursor& cursor) {
  const char* const malformed = "a malformed storage reference";
  if (!persistent_id.is_tuple() || persistent_id.as_tuple().items.size() != 5) {
    cursor.fail(malformed);
  }
  const std::vector<Value>& parts = persistent_id.as_tuple().items;
  for (std::size_t i = 0; i < 4; ++i) {
    if (!parts[i].is_string()) cursor.fail(malformed);
  }
  if (parts[0].as_string() != "storage" || !parts[4].is_int()) cursor.fail(malformed);
  const std::string& class_name = parts[1].as_string();
  const auto type = storage_type(class_name.substr(class_name.find('.') + 1));
  if (!type.has_value()) cursor.fail(fmt::format("an unknown storage type {}", class_name));
  const std::int64_t numel = parts[4].as_int();
  const auto item_size = static_cast<std::int64_t>(c10::elementSize(*type));
  if (numel < 0 || numel > std::numeric_limits<std::int64_t>::max() / item_size) {
    cursor.fail("an impossible storage size");
  }
  return {parts[2].as_string(), *type, numel};
}

at::Tensor tensor_over(const StorageRef& storage, const std::vector<Value>& arguments,
                       const PickleCursor& cursor) {
  if (arguments.size() < 6 || !arguments[1].is_int()) cursor.fail("a malformed tensor");
  const std::int64_t offset = arguments[1].as_int();
  const std::vector<std::int64_t> sizes = integers(arguments[2], "size", cursor);
  const std::vector<std::int64_t> strides = integers(arguments[3], "stride", cursor);
  if (offset < 0) cursor.fail("a tensor reaches outside its storage");
  check_extent(offset, sizes, strides, storage.numel, cursor);
  at::Tensor tensor = at::empty({0}, at::TensorOptions().dtype(storage.type));
  tensor.set_(storage.storage, offset, sizes, strides);
  if (arguments[4].is_bool() && arguments[4].as_bool() && tensor.is_floating_point()) {
    tensor.set_requires_grad(true);
  }
  return tensor;
}

}  // namespace lctl::checkpoint
