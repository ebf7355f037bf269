#include "worker/trainer/data/formats/array_layout.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "worker/trainer/data/bad_sample.h"

namespace lctl {
namespace {

// Of tensors on which torch's operators work, and of NumPy's arrays.
constexpr std::size_t kMaxDimensions = 64;

// Size of what is swapped: a complex number is two.
std::uint64_t number_size(at::ScalarType dtype) {
  const std::uint64_t size = c10::elementSize(dtype);
  return c10::isComplexType(dtype) ? size / 2 : size;
}

template <typename Word, Word (*kSwap)(Word)>
void swap_words(const char* from, char* to, std::uint64_t bytes) {
  for (std::uint64_t at = 0; at < bytes; at += sizeof(Word)) {
    Word word = 0;
    std::memcpy(&word, from + at, sizeof(Word));
    word = kSwap(word);
    std::memcpy(to + at, &word, sizeof(Word));
  }
}

std::uint16_t swapped2(std::uint16_t word) { return __builtin_bswap16(word); }
std::uint32_t swapped4(std::uint32_t word) { return __builtin_bswap32(word); }
std::uint64_t swapped8(std::uint64_t word) { return __builtin_bswap64(word); }

SharedBytes swapped(const SharedBytes& data, std::uint64_t bytes, std::uint64_t width) {
  SharedBytes native = SharedBytes::allocate(bytes, data.name());
  if (width == 2) swap_words<std::uint16_t, swapped2>(data.data(), native.data(), bytes);
  if (width == 4) swap_words<std::uint32_t, swapped4>(data.data(), native.data(), bytes);
  if (width == 8) swap_words<std::uint64_t, swapped8>(data.data(), native.data(), bytes);
  return native;
}

// C++ may not even read a bool that is another number.
void refuse_other_bools(const SharedBytes& data, std::uint64_t bytes) {
  const std::string_view values = data.view().substr(0, bytes);
  unsigned all = 0;  // a loop without a way out is a fast one
  for (const char byte : values) all |= static_cast<unsigned char>(byte);
  if (all <= 1) return;
  const auto* wrong = std::find_if(values.begin(), values.end(),
                                   [](char byte) { return static_cast<unsigned char>(byte) > 1; });
  throw BadSample(
      fmt::format("{}: element {} of a bool array is {}, neither 0 nor 1: the file is "
                  "damaged, or its numbers are uint8",
                  data.name(), wrong - values.begin(),
                  static_cast<unsigned>(static_cast<unsigned char>(*wrong))));
}

std::vector<std::int64_t> strides_of(const ArrayLayout& layout) {
  std::vector<std::int64_t> strides(layout.shape.size());
  std::int64_t step = 1;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    const std::size_t dimension = layout.fortran_order ? i : strides.size() - 1 - i;
    strides[dimension] = step;
    step *= std::max<std::int64_t>(layout.shape[dimension], 1);
  }
  return strides;
}

}  // namespace

std::optional<std::uint64_t> byte_count(const ArrayLayout& layout) {
  if (layout.shape.size() > kMaxDimensions) return std::nullopt;
  // Strides are products too, so an empty dimension does not make the others harmless.
  std::int64_t product = static_cast<std::int64_t>(c10::elementSize(layout.dtype));
  bool empty = false;
  for (const std::int64_t size : layout.shape) {
    if (size < 0) return std::nullopt;
    empty = empty || size == 0;
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product))
      return std::nullopt;
  }
  return empty ? 0 : static_cast<std::uint64_t>(product);
}

std::string layout_text(const ArrayLayout& layout) {
  const std::string shape =
      layout.shape.empty() ? "one" : fmt::format("{}", fmt::join(layout.shape, "x"));
  return fmt::format("{} {}", shape, c10::toString(layout.dtype));
}

at::Tensor tensor_over(const SharedBytes& data, const ArrayLayout& layout) {
  const std::optional<std::uint64_t> bytes = byte_count(layout);
  if (!bytes.has_value()) {
    throw BadSample(fmt::format("{}: an array of {} is impossible: the header is damaged",
                                data.name(), layout_text(layout)));
  }
  if (*bytes > data.size()) {
    throw BadSample(
        fmt::format("{}: an array of {} has {} bytes, but {} are there: the file is cut "
                    "off",
                    data.name(), layout_text(layout), *bytes, data.size()));
  }
  const auto options = at::TensorOptions().dtype(layout.dtype);
  if (*bytes == 0) return at::empty(layout.shape, options);
  ArrayLayout native = layout;
  native.big_endian = false;
  const std::uint64_t width = number_size(layout.dtype);
  if (layout.big_endian && width > 1) return tensor_over(swapped(data, *bytes, width), native);
  if (reinterpret_cast<std::uintptr_t>(data.data()) % c10::elementSize(layout.dtype) != 0) {
    const SharedBytes aligned = SharedBytes::allocate(*bytes, data.name());
    std::memcpy(aligned.data(), data.data(), *bytes);
    return tensor_over(aligned, native);
  }
  if (layout.dtype == at::kBool) refuse_other_bools(data, *bytes);
  return at::from_blob(
      data.data(), layout.shape, strides_of(layout), [owner = data.owner()](void*) {}, options);
}

}  // namespace lctl
