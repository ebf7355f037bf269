#include "worker/trainer/data/webdataset/json_field.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::webdataset {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kDeepest = 8;

// What a regular nest of lists holds.
struct Numbers {
  std::vector<std::int64_t> shape;
  bool whole = true;
};

// Whether `value` is a number, or a list as long as all at its depth. The shape is that of the
// first list at each depth.
bool is_regular(const Json& value, std::size_t depth, bool first, Numbers& numbers) {
  if (value.is_number()) {
    numbers.whole = numbers.whole && value.is_number_integer();
    return numbers.shape.size() == depth;
  }
  if (!value.is_array() || depth >= kDeepest) return false;
  const auto length = static_cast<std::int64_t>(value.size());
  if (first) {
    if (numbers.shape.size() != depth) return false;
    numbers.shape.push_back(length);
  } else if (numbers.shape.size() <= depth || numbers.shape[depth] != length) {
    return false;
  }
  for (const Json& item : value) {
    if (!is_regular(item, depth + 1, first, numbers)) return false;
    first = false;
  }
  return true;
}

template <typename T>
void copy_numbers(const Json& value, T*& to) {
  if (value.is_array()) {
    for (const Json& item : value) copy_numbers(item, to);
  } else {
    *to++ = static_cast<T>(value.get<std::conditional_t<std::is_integral_v<T>, T, double>>());
  }
}

// nlohmann keeps what is too big for int64 apart.
bool is_beyond_64_bits(const Json& value) {
  if (value.is_array()) {
    for (const Json& item : value) {
      if (is_beyond_64_bits(item)) return true;
    }
    return false;
  }
  return value.is_number_unsigned() &&
         value.get<std::uint64_t>() >
             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

}  // namespace

Batch decode_json(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Json value;
  try {
    value = Json::parse(text);
  } catch (const Json::exception& error) {
    throw BadSample(fmt::format("{}: no JSON: {}", name, error.what()));
  }
  Numbers numbers;
  if (!is_regular(value, 0, true, numbers)) return Batch(std::string(text));
  const bool empty =
      !numbers.shape.empty() && numbers.shape.back() == 0;  // torch.tensor([]) is float
  const bool whole = numbers.whole && !empty;
  if (whole && is_beyond_64_bits(value))
    throw BadSample(fmt::format("{}: a number does not fit into 64 bits", name));
  at::Tensor tensor = at::empty(numbers.shape, whole ? at::kLong : at::kFloat);
  if (whole) {
    auto* to = tensor.mutable_data_ptr<std::int64_t>();
    copy_numbers(value, to);
  } else if (!empty) {
    auto* to = tensor.mutable_data_ptr<float>();
    copy_numbers(value, to);
  }
  return Batch(std::move(tensor));
}

}  // namespace lctl::webdataset
