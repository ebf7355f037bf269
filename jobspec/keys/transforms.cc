// torchvision.transforms.v2's transforms of images, for the `transforms` of data modules.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr std::string_view kOneOrTwoSizes = "one or two >= 1";
constexpr std::string_view kInterpolations = "one of: nearest, nearest-exact, bilinear, bicubic";
constexpr std::string_view kTypes =
    "one of: float32, float64, float16, bfloat16, uint8, int8, int16, int32, int64";

constexpr Argument kSize = {"size", "int|list[int]", kRequired, kOneOrTwoSizes};
constexpr Argument kInterpolation = {"interpolation", "str", "bilinear", kInterpolations};
constexpr Argument kSampling = {"interpolation", "str", "nearest", "one of: nearest, bilinear"};
constexpr Argument kAntialias = {"antialias", "bool?", "true"};
constexpr Argument kFill = {"fill", "float|list[float]", "0"};
constexpr Argument kCenter = {"center", "list[float]?", "null", "two"};
constexpr Argument kPaddingMode = {"padding_mode", "str", "constant",
                                   "one of: constant, edge, reflect, symmetric"};
constexpr Argument kInplace = {"inplace", "bool", "false"};
constexpr Argument kDegrees = {"degrees", "float|list[float]", kRequired, "two"};
constexpr Argument kTransforms = {"transforms", "transforms", kRequired};

constexpr Argument chance(std::string_view fallback) {
  return {"p", "float", fallback, "in [0, 1]"};
}
constexpr Argument factor(std::string_view name, std::string_view rule) {
  return {name, "float|list[float]?", "null", rule};
}

constexpr Argument kResize[] = {
    {"size", "int|list[int]?", "null", kOneOrTwoSizes},
    kInterpolation,
    {"max_size", "int?", "null", ">= 1"},
    kAntialias,
};
constexpr Argument kCenterCrop[] = {kSize};
constexpr Argument kRandomCrop[] = {
    kSize,
    {"padding", "int|list[int]?", "null", "one, two or four >= 0"},
    {"pad_if_needed", "bool", "false"},
    kFill,
    kPaddingMode,
};
constexpr Argument kRandomResizedCrop[] = {
    kSize,
    {"scale", "list[float]", "[0.08, 1.0]", "two > 0"},
    {"ratio", "list[float]", "[0.75, 1.3333333333333333]", "two > 0"},
    kInterpolation,
    kAntialias,
};
constexpr Argument kFlip[] = {chance("0.5")};
constexpr Argument kPad[] = {
    {"padding", "int|list[int]", kRequired, "one, two or four >= 0"},
    kFill,
    kPaddingMode,
};
constexpr Argument kRotation[] = {
    kDegrees, kSampling, {"expand", "bool", "false"}, kCenter, kFill,
};
constexpr Argument kAffine[] = {
    kDegrees,
    {"translate", "list[float]?", "null", "two in [0, 1]"},
    {"scale", "list[float]?", "null", "two > 0"},
    {"shear", "float|list[float]?", "null", "two or four"},
    kSampling,
    kFill,
    kCenter,
};
constexpr Argument kGrayscale[] = {{"num_output_channels", "int", "1", "one of: 1, 3"}};
constexpr Argument kRandomGrayscale[] = {chance("0.1")};
constexpr Argument kColorJitter[] = {
    factor("brightness", "two >= 0"),
    factor("contrast", "two >= 0"),
    factor("saturation", "two >= 0"),
    factor("hue", "two in [-0.5, 0.5]"),
};
constexpr Argument kGaussianBlur[] = {
    {"kernel_size", "int|list[int]", kRequired, kOneOrTwoSizes},
    {"sigma", "float|list[float]", "[0.1, 2.0]", "one or two > 0"},
};
constexpr Argument kRandomErasing[] = {
    chance("0.5"),
    {"scale", "list[float]", "[0.02, 0.33]", "two in [0, 1]"},
    {"ratio", "list[float]", "[0.3, 3.3]", "two > 0"},
    {"value", "float|list[float]|str", "0.0"},
    kInplace,
};
constexpr Argument kNormalize[] = {
    {"mean", "list[float]", kRequired},
    {"std", "list[float]", kRequired, "not 0"},
    kInplace,
};
constexpr Argument kToDtype[] = {
    {"dtype", "str", kRequired, kTypes},
    {"scale", "bool", "false"},
};
constexpr Argument kConvertImageDtype[] = {{"dtype", "str", "float32", kTypes}};
constexpr Argument kCompose[] = {kTransforms};
constexpr Argument kRandomApply[] = {kTransforms, chance("0.5")};

constexpr Class transform(std::string_view name, std::span<const Argument> arguments = {}) {
  return {Kind::kTransform, name, arguments};
}
constexpr Class later(std::string_view name) { return {Kind::kTransform, name, {}, false}; }

constexpr Class kAll[] = {
    transform("Resize", kResize),
    transform("CenterCrop", kCenterCrop),
    transform("RandomCrop", kRandomCrop),
    transform("RandomResizedCrop", kRandomResizedCrop),
    transform("RandomHorizontalFlip", kFlip),
    transform("RandomVerticalFlip", kFlip),
    transform("Pad", kPad),
    transform("RandomRotation", kRotation),
    transform("RandomAffine", kAffine),
    transform("Grayscale", kGrayscale),
    transform("RandomGrayscale", kRandomGrayscale),
    transform("ColorJitter", kColorJitter),
    transform("GaussianBlur", kGaussianBlur),
    transform("RandomErasing", kRandomErasing),
    transform("Normalize", kNormalize),
    transform("ToDtype", kToDtype),
    transform("ConvertImageDtype", kConvertImageDtype),
    transform("ToTensor"),
    transform("ToImage"),
    transform("PILToTensor"),
    transform("ToPureTensor"),
    transform("Compose", kCompose),
    transform("RandomApply", kRandomApply),
    later("RandomChoice"),
    later("RandomOrder"),
    later("FiveCrop"),
    later("TenCrop"),
    later("RandomZoomOut"),
    later("RandomPerspective"),
    later("ElasticTransform"),
    later("ScaleJitter"),
    later("RandomShortestSize"),
    later("RandomResize"),
    later("RGB"),
    later("RandomPhotometricDistort"),
    later("RandomChannelPermutation"),
    later("RandomEqualize"),
    later("RandomInvert"),
    later("RandomPosterize"),
    later("RandomSolarize"),
    later("RandomAutocontrast"),
    later("RandomAdjustSharpness"),
    later("GaussianNoise"),
    later("JPEG"),
    later("LinearTransformation"),
    later("AutoAugment"),
    later("RandAugment"),
    later("TrivialAugmentWide"),
    later("AugMix"),
    later("CutMix"),
    later("MixUp"),
};

}  // namespace

std::span<const Class> transform_classes() { return kAll; }

}  // namespace lctl::jobspec::keys
