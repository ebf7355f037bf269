// Transforms by name, what they draw, and pipelines.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "jobspec/config.h"
#include "jobspec/keys/key_table.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/transforms/containers.h"
#include "worker/trainer/data/transforms/crops.h"
#include "worker/trainer/data/transforms/orientation.h"
#include "worker/trainer/data/transforms/transform_factory.h"
#include "worker/trainer/data/transforms/values.h"

namespace lctl::transforms {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

at::Tensor image(std::int64_t height = 11, std::int64_t width = 17, std::int64_t channels = 3) {
  const at::Tensor i = at::arange(height * width * channels, at::kLong);
  return ((i * 37 + i * i * 3) % 251)
      .to(at::kByte)
      .view({height, width, channels})
      .permute({2, 0, 1});
}

at::Tensor run(const TransformPtr& transform, const at::Tensor& to, std::uint64_t seed = 0) {
  RandomStream random(seed, 0, 0);
  return transform->apply(to, random);
}

std::string refusal(const std::string& yaml) {
  try {
    from_yaml(yaml);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TransformFactoryTest, KeyTableAndFactoryNameTheSameTransforms) {
  EXPECT_THAT(
      transform_names(),
      UnorderedElementsAreArray(jobspec::keys::available_names(jobspec::keys::Kind::kTransform)));
}

TEST(TransformFactoryTest, EveryTransformWorksByItsNameAlone) {
  for (const std::string_view name : transform_names()) {
    SCOPED_TRACE(name);
    // Of those arguments the ones that the class requires.
    const jobspec::keys::Class* entry =
        jobspec::keys::find_class(jobspec::keys::Kind::kTransform, name);
    std::string arguments;
    for (const auto& [argument, value] : {std::pair{"size", "5"},
                                          {"padding", "1"},
                                          {"degrees", "10"},
                                          {"kernel_size", "3"},
                                          {"mean", "[0.5]"},
                                          {"std", "[0.5]"},
                                          {"dtype", "float32"},
                                          {"transforms", "[ToImage]"}}) {
      const auto* known = entry->find(argument);
      if (known == nullptr) continue;
      if (known->fallback != jobspec::keys::kRequired && name != "Resize") continue;
      arguments += std::string(argument) + ": " + value + ", ";
    }
    const TransformPtr transform = from_yaml("[{" + std::string(name) + ": {" + arguments + "}}]");
    const at::Tensor input = name == "Normalize" ? image().to(at::kFloat) : image();
    EXPECT_EQ(run(transform, input).dim(), 3);
  }
}

TEST(TransformFactoryTest, MistakesAreRefusedWithTheirPlace) {
  EXPECT_EQ(refusal("[{RandomResizedCrop: {siez: 224}}]"),
            "transforms:1: 0.RandomResizedCrop.siez: unknown key; did you mean `size`? known keys: "
            "size, scale, ratio, interpolation, antialias");
  EXPECT_THAT(refusal("[RandomHorizontalFlop]"), HasSubstr("did you mean `RandomHorizontalFlip`?"));
  EXPECT_THAT(refusal("[RandAugment]"),
              HasSubstr("RandAugment is known to torchvision but not available in this version"));
  EXPECT_THAT(refusal("[{Resize: {size: [1, 2, 3]}}]"),
              HasSubstr("expected a list of one or two numbers >= 1"));
  EXPECT_THAT(refusal("[{Pad: {padding: [1, 2, 3]}}]"),
              HasSubstr("expected a list of one, two or four numbers >= 0"));
  EXPECT_THAT(refusal("[{ColorJitter: {hue: 0.6}}]"), HasSubstr("in [-0.5, 0.5]"));
  EXPECT_THAT(refusal("[{RandomAffine: {degrees: 3, shear: [1, 2, 3]}}]"),
              HasSubstr("expected a list of two or four numbers"));
  EXPECT_THAT(refusal("[{ToDtype: {dtype: float}}]"), HasSubstr("one of: float32"));
  EXPECT_THAT(refusal("[{RandomApply: {transforms: [{Resize: {size: none}}]}}]"),
              HasSubstr("0.RandomApply.transforms.0.Resize.size: expected int"));
  EXPECT_THAT(refusal("[{RandomApply: {transforms: []}}]"),
              HasSubstr("expected a list of transforms"));
  EXPECT_THAT(refusal("[7]"), HasSubstr("expected a transform, got int `7`"));
}

// What only the transform itself knows.
TEST(TransformFactoryTest, ArgumentsThatDoNotGoTogetherAreRefused) {
  EXPECT_EQ(refusal("[ToImage, Resize]"), "transforms.1.Resize: size or max_size must be given");
  EXPECT_EQ(refusal("[{Resize: {size: 9, max_size: 9}}]"),
            "transforms.0.Resize: max_size 9 must be greater than size 9");
  EXPECT_EQ(refusal("[{RandomApply: {transforms: [{GaussianBlur: {kernel_size: 4}}]}}]"),
            "transforms.0.RandomApply.transforms.0.GaussianBlur: kernel_size must be odd and "
            "positive, not 4");
  EXPECT_THAT(refusal("[{Normalize: {mean: [0, 0], std: [1, 1, 1]}}]"), HasSubstr("mean has 2"));
  EXPECT_THAT(refusal("[{RandomErasing: {value: noise}}]"), HasSubstr("or `random`"));
  EXPECT_THAT(refusal("[{RandomRotation: {degrees: -3}}]"), HasSubstr("must not be negative"));
  EXPECT_THAT(refusal("[{RandomResizedCrop: {size: 8, scale: [1, 0.5]}}]"),
              HasSubstr("pairs of (min, max)"));
}

struct Summary {
  double mean, low, middle, high;  // quantiles: 0.1, 0.5, 0.9
};

void expect_near(std::vector<double> values, const Summary& expected, double tolerance) {
  double sum = 0;
  for (const double value : values) sum += value;
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size()))];
  };
  EXPECT_NEAR(sum / static_cast<double>(values.size()), expected.mean, tolerance);
  EXPECT_NEAR(quantile(0.1), expected.low, tolerance);
  EXPECT_NEAR(quantile(0.5), expected.middle, tolerance);
  EXPECT_NEAR(quantile(0.9), expected.high, tolerance);
}

// Summaries of 40,000 draws of torchvision 0.26.
TEST(RandomTransformsTest, RandomResizedCropDrawsAsTorchvision) {
  const RandomResizedCrop crop({.size = {224, 224}});
  RandomStream random(3, 0, 0);
  std::vector<double> area, ratio, top, left;
  for (int i = 0; i < 40'000; ++i) {
    const Box box = crop.draw({300, 400}, random);
    ASSERT_TRUE(box.top >= 0 && box.left >= 0 && box.top + box.height <= 300 &&
                box.left + box.width <= 400);
    area.push_back(static_cast<double>(box.height * box.width) / 120'000);
    ratio.push_back(static_cast<double>(box.width) / static_cast<double>(box.height));
    top.push_back(static_cast<double>(box.top));
    left.push_back(static_cast<double>(box.left));
  }
  expect_near(area, {0.4345, 0.1472, 0.4233, 0.7395}, 0.008);
  expect_near(ratio, {1.046, 0.8113, 1.05, 1.2756}, 0.008);
  expect_near(top, {41.7167, 3.0, 29.0, 103.0}, 3);
  expect_near(left, {87.3105, 13.0, 75.0, 181.0}, 4);
}

TEST(RandomTransformsTest, ImagesOfNoSuchRatioAreCroppedInTheMiddle) {
  const RandomResizedCrop crop({.size = {224, 224}, .min_scale = 0.9});
  RandomStream random(3, 0, 0);
  const Box wide = crop.draw({40, 400}, random);
  EXPECT_EQ((std::vector<std::int64_t>{wide.top, wide.left, wide.height, wide.width}),
            (std::vector<std::int64_t>{0, 173, 40, 53}));
  const Box tall = crop.draw({400, 40}, random);
  EXPECT_EQ((std::vector<std::int64_t>{tall.top, tall.left, tall.height, tall.width}),
            (std::vector<std::int64_t>{173, 0, 53, 40}));
}

// Reads the erased rectangle out of a white image.
TEST(RandomTransformsTest, RandomErasingDrawsAsTorchvision) {
  const RandomErasing erase({.p = 1});
  const at::Tensor white = at::full({1, 75, 100}, 255, at::kByte);
  std::vector<double> area, ratio, top;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    RandomStream random(3, i, 0);
    const at::Tensor black = erase.apply(white, random)[0].eq(0);
    const at::Tensor rows = black.any(1);
    const auto h = static_cast<double>(rows.sum().item<std::int64_t>());
    const auto w = static_cast<double>(black.any(0).sum().item<std::int64_t>());
    ASSERT_EQ(static_cast<double>(black.sum().item<std::int64_t>()), h * w);
    area.push_back(h * w / 7500);
    ratio.push_back(h / w);
    top.push_back(static_cast<double>(rows.to(at::kByte).argmax().item<std::int64_t>()));
  }
  EXPECT_TRUE(white.eq(255).all().item<bool>());  // out of place
  expect_near(area, {0.1715, 0.0499, 0.1707, 0.2947}, 0.01);
  expect_near(ratio, {1.2052, 0.3793, 0.9667, 2.4448}, 0.15);
  expect_near(top, {19.8028, 2.0, 17.0, 42.0}, 2);
}

TEST(RandomTransformsTest, ChancesAreThoseAskedFor) {
  const at::Tensor in = image(2, 3);
  const auto changed = [&](const std::string& yaml) {
    const TransformPtr transform = from_yaml(yaml);
    int count = 0;
    for (std::uint64_t seed = 0; seed < 2000; ++seed) count += !run(transform, in, seed).equal(in);
    return count / 2000.0;
  };
  EXPECT_NEAR(changed("[RandomHorizontalFlip]"), 0.5, 0.04);
  EXPECT_NEAR(changed("[{RandomVerticalFlip: {p: 0.2}}]"), 0.2, 0.04);
  EXPECT_NEAR(changed("[RandomGrayscale]"), 0.1, 0.03);
  EXPECT_NEAR(changed("[{RandomApply: {transforms: [{RandomHorizontalFlip: {p: 1}}], p: 0.3}}]"),
              0.3, 0.04);
  EXPECT_EQ(changed("[{RandomHorizontalFlip: {p: 0}}]"), 0);
  EXPECT_EQ(changed("[{RandomHorizontalFlip: {p: 1}}]"), 1);
}

TEST(RandomTransformsTest, RandomCropTakesEveryPlaceOfThePaddedImage) {
  const TransformPtr crop = from_yaml("[{RandomCrop: {size: [4, 5], padding: 1}}]");
  const at::Tensor in = at::arange(4 * 5, at::kByte).view({1, 4, 5}) + 1;
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const at::Tensor out = run(crop, in, seed).contiguous();
    ASSERT_EQ(out.sizes(), in.sizes());
    seen.insert({static_cast<const char*>(out.const_data_ptr()), out.nbytes()});
  }
  EXPECT_EQ(seen.size(), 9U);
  EXPECT_EQ(run(from_yaml("[{RandomCrop: {size: 30, pad_if_needed: true}}]"), in).size(1), 30);
  RandomStream random(0, 0, 0);
  try {
    from_yaml("[{RandomCrop: {size: [4, 9], padding: 1}}]")->apply(in, random);
    FAIL();
  } catch (const BadSample& error) {
    EXPECT_STREQ(error.what(),
                 "Required crop size (4, 9) is larger than padded input image size (6, 7)");
  }
}

// Ten percent brighter and two percent darker are found again in a grey image.
TEST(RandomTransformsTest, ColorJitterDrawsFactorsInItsRange) {
  const TransformPtr jitter = from_yaml("[{ColorJitter: {brightness: [0.98, 1.1]}}]");
  const at::Tensor in = at::full({3, 2, 2}, 0.5, at::kFloat);
  std::vector<double> factors;
  for (std::uint64_t seed = 0; seed < 2000; ++seed)
    factors.push_back(run(jitter, in, seed)[0][0][0].item<double>() * 2);
  expect_near(factors, {1.04, 0.992, 1.04, 1.088}, 0.004);
  const TransformPtr all =
      from_yaml("[{ColorJitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}}]");
  EXPECT_FALSE(run(all, image(), 1).equal(run(all, image(), 2)));
  EXPECT_TRUE(run(all, image(), 1).equal(run(all, image(), 1)));
}

TEST(RandomTransformsTest, ErasedValuesAreThoseAskedFor) {
  const at::Tensor in = at::full({3, 20, 20}, 255, at::kByte);
  const at::Tensor colors = run(from_yaml("[{RandomErasing: {p: 1, value: [1, 2, 3]}}]"), in, 5);
  for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(colors[c].min().item<std::int64_t>(), c + 1);
  const at::Tensor noise =
      run(from_yaml("[{RandomErasing: {p: 1, value: random, scale: [0.5, 0.5], ratio: [1, 1]}}]"),
          at::full({3, 90, 90}, 9, at::kFloat), 5);
  const at::Tensor drawn = noise.masked_select(noise.ne(9));
  EXPECT_GT(drawn.numel(), 10'000);
  EXPECT_NEAR(drawn.mean().item<double>(), 0, 0.03);
  EXPECT_NEAR(drawn.std().item<double>(), 1, 0.03);
}

// The pass over memory that stands for several steps has their bits.
TEST(ComposeTest, OnePassHasTheBitsOfTheSteps) {
  const TransformPtr flip = std::make_shared<RandomHorizontalFlip>();
  const TransformPtr to_float = std::make_shared<ToDtype>(at::kFloat, true);
  const TransformPtr to_tensor = std::make_shared<ToTensor>();
  const TransformPtr normalize = std::make_shared<Normalize>(
      std::vector<double>{0.485, 0.456, 0.406}, std::vector<double>{0.229, 0.224, 0.225});
  const std::vector<std::vector<TransformPtr>> pipelines = {{flip, to_float, normalize},
                                                            {to_float, normalize},
                                                            {flip, to_tensor, normalize},
                                                            {to_tensor},
                                                            {flip, to_float}};
  const std::vector<at::Tensor> images = {image(), image().contiguous(),
                                          image().narrow(2, 3, 7).narrow(1, 2, 5),
                                          image().expand({2, 3, 11, 17})};
  for (const auto& steps : pipelines) {
    const TransformPtr whole = compose(steps);
    for (const at::Tensor& in : images) {
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        RandomStream random(seed, 0, 0);
        at::Tensor expected = in;
        for (const TransformPtr& step : steps) expected = step->apply(expected, random);
        const at::Tensor got = run(whole, in, seed);
        EXPECT_EQ(got.scalar_type(), at::kFloat);
        EXPECT_TRUE(got.equal(expected));
        EXPECT_TRUE(got.is_contiguous() || in.dim() != 3);
      }
    }
  }
}

TEST(ComposeTest, MistakesAreSaidByThePassTooAndFloatsGoThrough) {
  const TransformPtr whole = from_yaml(
      "[{ToDtype: {dtype: float32, scale: true}}, {Normalize: {mean: [0.5, 0.5, 0.5], std: [1, 1, "
      "1]}}]");
  EXPECT_THROW(run(whole, image(4, 4, 1)), MisconfigurationException);
  EXPECT_THROW(run(from_yaml("[{Normalize: {mean: [0.5], std: [1]}}]"), image()),
               MisconfigurationException);
  EXPECT_TRUE(run(whole, at::ones({3, 2, 2})).eq(0.5).all().item<bool>());
}

TEST(ComposeTest, TheUsualPipelineMakesOneShape) {
  const TransformPtr train = from_yaml(R"(
- RandomResizedCrop: {size: 24}
- RandomHorizontalFlip
- ToImage
- ToDtype: {dtype: float32, scale: true}
- Normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
)");
  const at::Tensor in = image(60, 80);
  const at::Tensor before = in.clone();
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const at::Tensor out = run(train, in, seed);
    EXPECT_EQ(out.sizes(), (std::vector<std::int64_t>{3, 24, 24}));
    EXPECT_TRUE(out.is_contiguous());
  }
  EXPECT_TRUE(in.equal(before));
  EXPECT_EQ(make_transforms({}, "x"), nullptr);
}

}  // namespace
}  // namespace lctl::transforms
