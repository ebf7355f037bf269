#include "worker/trainer/checkpoint/storage_types.h"

#include <algorithm>
#include <array>

namespace lctl::checkpoint {
namespace {

struct StorageName {
  at::ScalarType type;
  std::string_view name;
};

constexpr std::array kStorageNames = {
    StorageName{at::kFloat, "FloatStorage"},
    StorageName{at::kDouble, "DoubleStorage"},
    StorageName{at::kHalf, "HalfStorage"},
    StorageName{at::kBFloat16, "BFloat16Storage"},
    StorageName{at::kLong, "LongStorage"},
    StorageName{at::kInt, "IntStorage"},
    StorageName{at::kShort, "ShortStorage"},
    StorageName{at::kChar, "CharStorage"},
    StorageName{at::kByte, "ByteStorage"},
    StorageName{at::kBool, "BoolStorage"},
    StorageName{at::kComplexFloat, "ComplexFloatStorage"},
    StorageName{at::kComplexDouble, "ComplexDoubleStorage"},
};

constexpr std::array<std::string_view, 22> kDtypeNames = {
    "float32", "float",     "float64",    "double", "float16", "half",  "bfloat16", "int64",
    "long",    "int32",     "int",        "int16",  "short",   "int8",  "uint8",    "bool",
    "cfloat",  "complex64", "complex128", "uint16", "uint32",  "uint64"};

}  // namespace

std::string_view storage_class(at::ScalarType type) {
  for (const StorageName& each : kStorageNames) {
    if (each.type == type) return each.name;
  }
  return {};
}

std::optional<at::ScalarType> storage_type(std::string_view storage_class) {
  for (const StorageName& each : kStorageNames) {
    if (each.name == storage_class) return each.type;
  }
  return std::nullopt;
}

bool is_dtype_name(std::string_view name) {
  return std::find(kDtypeNames.begin(), kDtypeNames.end(), name) != kDtypeNames.end();
}

}  // namespace lctl::checkpoint
