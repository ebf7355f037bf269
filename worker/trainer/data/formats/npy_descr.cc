#include "worker/trainer/data/formats/npy_descr.h"

#include <fmt/format.h>

#include <array>

namespace lctl {
namespace {

struct Known {
  std::string_view name;
  at::ScalarType dtype;
};

constexpr std::array kKnown = {
    Known{"b1", at::kBool},         Known{"i1", at::kChar},           Known{"i2", at::kShort},
    Known{"i4", at::kInt},          Known{"i8", at::kLong},           Known{"u1", at::kByte},
    Known{"u2", at::kUInt16},       Known{"u4", at::kUInt32},         Known{"u8", at::kUInt64},
    Known{"f2", at::kHalf},         Known{"f4", at::kFloat},          Known{"f8", at::kDouble},
    Known{"c8", at::kComplexFloat}, Known{"c16", at::kComplexDouble},
};

std::string refusal_of(std::string_view kind) {
  switch (kind.empty() ? '\0' : kind.front()) {
    case 'O':
      return "the array holds Python objects, which only pickle could read, and pickle runs code; "
             "save numbers instead, as with array.astype(numpy.float32)";
    case 'U':
    case 'S':
    case 'a':
      return "the array holds text, which no tensor can; save numbers (token ids, class numbers)";
    case 'M':
    case 'm':
      return "the array holds dates or durations (datetime64, timedelta64), which no tensor can; "
             "save array.astype(numpy.int64)";
    case 'V':
      return "the array holds structures or raw bytes (void), as NumPy also calls bfloat16; save "
             "numbers that NumPy has, or a .safetensors file";
    case 'f':
    case 'c':
      return "torch has no such floating point numbers (long double?); save "
             "array.astype(numpy.float64)";
    default:
      return "such an element type is unknown";
  }
}

}  // namespace

NpyDescr parse_npy_descr(std::string_view descr) {
  NpyDescr result;
  std::string_view kind = descr;
  if (!kind.empty() && std::string_view("<>=|").find(kind.front()) != std::string_view::npos) {
    result.big_endian = kind.front() == '>';
    kind.remove_prefix(1);
  }
  if (kind == "?") kind = "b1";
  for (const Known& known : kKnown) {
    if (known.name != kind) continue;
    result.dtype = known.dtype;
    return result;
  }
  result.refusal = fmt::format("dtype {:?}: {}", descr.substr(0, 40), refusal_of(kind));
  return result;
}

std::string structured_refusal(std::string_view text) {
  return fmt::format(
      "a structured dtype, {:?}…: a tensor has one element type; save each field as an array of "
      "its "
      "own, for instance with numpy.savez",
      text);
}

}  // namespace lctl
