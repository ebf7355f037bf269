#include "worker/trainer/data/transforms/functional/dtype.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/errors.h"

namespace lctl::transforms {
namespace {

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 9> kTypes = {{
    {"float32", at::kFloat},
    {"float64", at::kDouble},
    {"float16", at::kHalf},
    {"bfloat16", at::kBFloat16},
    {"uint8", at::kByte},
    {"int8", at::kChar},
    {"int16", at::kShort},
    {"int32", at::kInt},
    {"int64", at::kLong},
}};

std::string_view name_of(at::ScalarType type) {
  for (const auto& [name, known] : kTypes) {
    if (known == type) return name;
  }
  return c10::toString(type);
}

int value_bits(at::ScalarType type) {
  switch (type) {
    case at::kByte:
      return 8;
    case at::kChar:
      return 7;
    case at::kShort:
      return 15;
    case at::kInt:
      return 31;
    case at::kLong:
      return 63;
    default:
      throw MisconfigurationException(
          fmt::format("images of type {} cannot be scaled", name_of(type)));
  }
}

}  // namespace

at::ScalarType dtype_of(std::string_view name) {
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  throw std::invalid_argument(fmt::format("dtype '{}' is unknown", name));
}

namespace functional {

double max_value(at::ScalarType type) {
  if (at::isFloatingType(type)) return 1;
  return static_cast<double>((std::uint64_t{1} << value_bits(type)) - 1);
}

at::Tensor to_dtype(const at::Tensor& image, at::ScalarType type, bool scale) {
  const at::ScalarType from = image.scalar_type();
  if (from == type) return image;
  const bool from_float = at::isFloatingType(from);
  const bool to_float = at::isFloatingType(type);
  if (!scale || (from_float && to_float)) return image.to(type);
  if (to_float) return image.to(type).mul_(1.0 / max_value(from));
  if (from_float) {
    if ((from == at::kFloat && (type == at::kInt || type == at::kLong)) ||
        (from == at::kDouble && type == at::kLong)) {
      throw MisconfigurationException(fmt::format(
          "the conversion from {} to {} cannot be performed safely", name_of(from), name_of(type)));
    }
    // Not only 1 becomes white: torchvision's way to round.
    return image.mul(max_value(type) + 1.0 - 1e-3).to(type);
  }
  const int shift = value_bits(type) - value_bits(from);
  return shift < 0 ? image.bitwise_right_shift(-shift).to(type)
                   : image.to(type).bitwise_left_shift_(shift);
}

at::Tensor normalize(const at::Tensor& image, const std::vector<double>& mean,
                     const std::vector<double>& std) {
  if (!image.is_floating_point()) {
    throw MisconfigurationException(
        fmt::format("Normalize needs images of floating point, not of {}: put ToDtype: {{dtype: "
                    "float32, scale: true}} before it",
                    name_of(image.scalar_type())));
  }
  const auto channels = static_cast<std::size_t>(image.size(-3));
  for (const std::vector<double>* values : {&mean, &std}) {
    if (values->size() == 1 || values->size() == channels) continue;
    throw MisconfigurationException(
        fmt::format("Normalize has mean and std of {} and {} channels, the image has {}",
                    mean.size(), std.size(), channels));
  }
  const auto column = [&](const std::vector<double>& values) {
    return at::tensor(values, image.scalar_type()).view({-1, 1, 1});
  };
  return image.sub(column(mean)).div_(column(std));
}

}  // namespace functional
}  // namespace lctl::transforms
