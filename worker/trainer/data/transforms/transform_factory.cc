#include "worker/trainer/data/transforms/transform_factory.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "worker/trainer/data/transforms/colors.h"
#include "worker/trainer/data/transforms/containers.h"
#include "worker/trainer/data/transforms/crops.h"
#include "worker/trainer/data/transforms/functional/dtype.h"
#include "worker/trainer/data/transforms/orientation.h"
#include "worker/trainer/data/transforms/values.h"

namespace lctl::transforms {
namespace {

using jobspec::Arguments;
using jobspec::ClassSpec;

template <typename T, typename... Args>
TransformPtr make(Args&&... args) {
  return std::make_shared<const T>(std::forward<Args>(args)...);
}

// One number for both edges, or height and width.
Extent extent(const Arguments& args, std::string_view name) {
  const std::vector<std::int64_t> numbers = args.get_ints(name);
  return {numbers.front(), numbers.back()};
}

std::pair<double, double> pair(const Arguments& args, std::string_view name) {
  const std::vector<double> numbers = args.get_doubles(name);
  return {numbers.front(), numbers.back()};
}

std::optional<Range> optional_pair(const Arguments& args, std::string_view name) {
  return args.get(name).is_null() ? std::nullopt : std::optional(pair(args, name));
}

// A number d for (-d, d), or the two.
Range angles(const Arguments& args, std::string_view name) {
  if (!args.get(name).is_number()) return pair(args, name);
  const double most = args.get_double(name);
  if (most < 0) {
    throw std::invalid_argument(
        fmt::format("{} must not be negative where it is a single number", name));
  }
  return {-most, most};
}

Interpolation interpolation(const Arguments& args) {
  return interpolation_of(args.get_string("interpolation"));
}

bool antialias(const Arguments& args) {
  return args.get_optional_bool("antialias").value_or(false);
}

Sampling sampling(const Arguments& args) {
  Sampling out{interpolation(args), args.get_doubles("fill"), std::nullopt};
  if (const auto center = optional_pair(args, "center"))
    out.center = Point{center->first, center->second};
  return out;
}

TransformPtr resize(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  Resize::Options options;
  if (!args.get("size").is_null()) options.size = args.get_ints("size");
  options.interpolation = interpolation(args);
  options.max_size = args.get_optional_int("max_size");
  options.antialias = antialias(args);
  return make<Resize>(options);
}

TransformPtr center_crop(const ClassSpec& spec, const std::string&) {
  return make<CenterCrop>(extent(spec.init_args, "size"));
}

TransformPtr random_crop(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  RandomCrop::Options options;
  options.size = extent(args, "size");
  if (!args.get("padding").is_null()) options.padding = padding_of(args.get_ints("padding"));
  options.pad_if_needed = args.get_bool("pad_if_needed");
  options.fill = args.get_doubles("fill");
  options.padding_mode = padding_mode_of(args.get_string("padding_mode"));
  return make<RandomCrop>(options);
}

TransformPtr random_resized_crop(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  const auto [min_scale, max_scale] = pair(args, "scale");
  const auto [min_ratio, max_ratio] = pair(args, "ratio");
  return make<RandomResizedCrop>(RandomResizedCrop::Options{extent(args, "size"), min_scale,
                                                            max_scale, min_ratio, max_ratio,
                                                            interpolation(args), antialias(args)});
}

TransformPtr pad(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  return make<Pad>(Pad::Options{padding_of(args.get_ints("padding")), args.get_doubles("fill"),
                                padding_mode_of(args.get_string("padding_mode"))});
}

TransformPtr horizontal_flip(const ClassSpec& spec, const std::string&) {
  return make<RandomHorizontalFlip>(spec.init_args.get_double("p"));
}

TransformPtr vertical_flip(const ClassSpec& spec, const std::string&) {
  return make<RandomVerticalFlip>(spec.init_args.get_double("p"));
}

TransformPtr rotation(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  return make<RandomRotation>(
      RandomRotation::Options{angles(args, "degrees"), args.get_bool("expand"), sampling(args)});
}

TransformPtr affine(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  RandomAffine::Options options;
  options.degrees = angles(args, "degrees");
  options.translate = optional_pair(args, "translate");
  options.scale = optional_pair(args, "scale");
  if (const jobspec::Value& shear = args.get("shear"); !shear.is_null()) {
    if (shear.is_list() && shear.list().size() == 4) {
      const std::vector<double> numbers = args.get_doubles("shear");
      options.shear_x = {numbers[0], numbers[1]};
      options.shear_y = {numbers[2], numbers[3]};
    } else {
      options.shear_x = angles(args, "shear");
    }
  }
  options.sampling = sampling(args);
  return make<RandomAffine>(options);
}

TransformPtr grayscale(const ClassSpec& spec, const std::string&) {
  return make<Grayscale>(spec.init_args.get_int("num_output_channels"));
}

TransformPtr random_grayscale(const ClassSpec& spec, const std::string&) {
  return make<RandomGrayscale>(spec.init_args.get_double("p"));
}

// A number d for center - d to center + d, not below `least`; or the two.
ColorJitter::Range factors(const Arguments& args, std::string_view name, double center,
                           double least) {
  const jobspec::Value& value = args.get(name);
  if (value.is_null()) return std::nullopt;
  Range range = pair(args, name);
  if (value.is_number()) {
    const double most = value.as_double();
    if (most < 0) {
      throw std::invalid_argument(
          fmt::format("{} must not be negative where it is a single number", name));
    }
    range = {std::max(center - most, least), center + most};
  }
  if (range.first == center && range.second == center) return std::nullopt;
  return range;
}

TransformPtr color_jitter(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  return make<ColorJitter>(
      ColorJitter::Options{factors(args, "brightness", 1, 0), factors(args, "contrast", 1, 0),
                           factors(args, "saturation", 1, 0), factors(args, "hue", 0, -1)});
}

TransformPtr gaussian_blur(const ClassSpec& spec, const std::string&) {
  // The one size that torchvision takes as (width, height).
  const Extent kernel = extent(spec.init_args, "kernel_size");
  return make<GaussianBlur>(Extent{kernel.width, kernel.height}, pair(spec.init_args, "sigma"));
}

TransformPtr random_erasing(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  RandomErasing::Options options;
  options.p = args.get_double("p");
  std::tie(options.min_scale, options.max_scale) = pair(args, "scale");
  std::tie(options.min_ratio, options.max_ratio) = pair(args, "ratio");
  if (!args.get("value").is_string()) {
    options.value = args.get_doubles("value");
  } else if (args.get_string("value") == "random") {
    options.value.clear();
  } else {
    throw std::invalid_argument("value must be a number, one for each channel, or `random`");
  }
  return make<RandomErasing>(options);
}

TransformPtr normalize(const ClassSpec& spec, const std::string&) {
  return make<Normalize>(spec.init_args.get_doubles("mean"), spec.init_args.get_doubles("std"));
}

TransformPtr to_dtype(const ClassSpec& spec, const std::string&) {
  const Arguments& args = spec.init_args;
  return make<ToDtype>(dtype_of(args.get_string("dtype")), args.get_bool("scale"));
}

TransformPtr convert_image_dtype(const ClassSpec& spec, const std::string&) {
  return make<ToDtype>(dtype_of(spec.init_args.get_string("dtype")), /*scale=*/true);
}

TransformPtr to_tensor(const ClassSpec&, const std::string&) { return make<ToTensor>(); }

TransformPtr identity(const ClassSpec&, const std::string&) { return make<Identity>(); }

TransformPtr composed(const ClassSpec& spec, const std::string& where) {
  return make_transforms(spec.children, where + ".transforms");
}

TransformPtr random_apply(const ClassSpec& spec, const std::string& where) {
  return make<RandomApply>(composed(spec, where), spec.init_args.get_double("p"));
}

struct Entry {
  std::string_view name;  // torchvision's class
  TransformPtr (*build)(const ClassSpec& spec, const std::string& where);
};

constexpr Entry kTransforms[] = {
    {"Resize", resize},
    {"CenterCrop", center_crop},
    {"RandomCrop", random_crop},
    {"RandomResizedCrop", random_resized_crop},
    {"RandomHorizontalFlip", horizontal_flip},
    {"RandomVerticalFlip", vertical_flip},
    {"Pad", pad},
    {"RandomRotation", rotation},
    {"RandomAffine", affine},
    {"Grayscale", grayscale},
    {"RandomGrayscale", random_grayscale},
    {"ColorJitter", color_jitter},
    {"GaussianBlur", gaussian_blur},
    {"RandomErasing", random_erasing},
    {"Normalize", normalize},
    {"ToDtype", to_dtype},
    {"ConvertImageDtype", convert_image_dtype},
    {"ToTensor", to_tensor},
    {"ToImage", identity},
    {"PILToTensor", identity},
    {"ToPureTensor", identity},
    {"Compose", composed},
    {"RandomApply", random_apply},
};

}  // namespace

TransformPtr make_transform(const ClassSpec& spec, const std::string& where) {
  const auto found =
      std::find_if(std::begin(kTransforms), std::end(kTransforms),
                   [&](const Entry& entry) { return entry.name == spec.class_name; });
  if (found == std::end(kTransforms))
    throw std::invalid_argument(fmt::format("{}: unknown transform '{}'", where, spec.class_name));
  if (!spec.children.empty()) return found->build(spec, where);  // which say where themselves
  try {
    return found->build(spec, where);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("{}: {}", where, error.what()));
  }
}

TransformPtr make_transforms(std::span<const ClassSpec> list, const std::string& where) {
  if (list.empty()) return nullptr;
  std::vector<TransformPtr> steps;
  for (std::size_t i = 0; i < list.size(); ++i) {
    steps.push_back(make_transform(list[i], fmt::format("{}.{}.{}", where, i, list[i].class_name)));
  }
  return compose(std::move(steps));
}

TransformPtr from_yaml(std::string_view yaml) {
  const auto list = jobspec::parse_transforms(yaml);
  if (!list.ok()) throw std::invalid_argument(std::string(list.status().message()));
  return make_transforms(*list, "transforms");
}

std::vector<std::string_view> transform_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kTransforms) names.push_back(entry.name);
  return names;
}

}  // namespace lctl::transforms
