// What is not random has torchvision's bits.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/transforms/functional/affine.h"
#include "worker/trainer/data/transforms/functional/blur.h"
#include "worker/trainer/data/transforms/functional/color.h"
#include "worker/trainer/data/transforms/functional/dtype.h"
#include "worker/trainer/data/transforms/functional/geometry.h"
#include "worker/trainer/data/transforms/functional/resize.h"
#include "worker/trainer/data/transforms/values.h"

namespace lctl::transforms {
namespace {

using namespace functional;

constexpr std::int64_t kHeight = 11;
constexpr std::int64_t kWidth = 17;

// testdata/record.py makes the same.
at::Tensor image(std::int64_t channels = 3, std::int64_t offset = 0) {
  const at::Tensor i = at::arange(kHeight * kWidth * channels, at::kLong);
  return ((i * 37 + i * i * 3 + offset) % 251)
      .to(at::kByte)
      .view({kHeight, kWidth, channels})
      .permute({2, 0, 1});
}

at::Tensor resized(const at::Tensor& from, const std::vector<std::int64_t>& size,
                   std::optional<std::int64_t> max_size = std::nullopt) {
  return resize(from, resized_extent(extent_of(from), size, max_size), Interpolation::kBilinear,
                true);
}

using Cases = std::map<std::string, at::Tensor>;

void add_geometry(Cases& cases, const at::Tensor& u8, const at::Tensor& f32) {
  for (const char* mode : {"nearest", "nearest-exact", "bilinear", "bicubic"}) {
    for (const bool antialias : {true, false}) {
      const std::string name = std::string("resize_") + mode + (antialias ? "_aa" : "_plain");
      cases[name + "_u8"] = resize(u8, {5, 6}, interpolation_of(mode), antialias);
      cases[name + "_f32"] = resize(f32, {5, 6}, interpolation_of(mode), antialias);
    }
  }
  cases["resize_up_u8"] = resized(u8, {14, 20});
  cases["resize_short_edge"] = resized(u8, {7});
  cases["resize_max_size"] = resized(u8, {7}, 9);
  cases["resize_only_max_size"] = resized(u8, {}, 9);
  cases["resize_gray"] = resized(image(1), {5, 6});
  cases["resize_batch"] = resized(at::stack({image(), image(3, 9)}), {3, 4});
  cases["resized_crop"] = resized(crop(u8, {2, 3, 7, 9}), {4, 5});
  cases["center_crop"] = center_crop(u8, {4, 6});
  cases["center_crop_odd"] = center_crop(u8, {4, 8});
  cases["center_crop_larger"] = center_crop(u8, {14, 6});
  cases["hflip"] = horizontal_flip(u8);
  cases["vflip"] = vertical_flip(u8);
  for (const char* mode : {"constant", "edge", "reflect", "symmetric"}) {
    cases[std::string("pad_") + mode] = pad(u8, {2, 1, 3, 4}, {7}, padding_mode_of(mode));
  }
  cases["pad_colors"] = pad(u8, padding_of({2, 1}), {1, 2, 3}, PaddingMode::kConstant);
  const Sampling bilinear = {.interpolation = Interpolation::kBilinear};
  cases["rotate_nearest"] = rotate(u8, 30, false, {.fill = {9}});
  cases["rotate_bilinear"] = rotate(u8, -50, false, bilinear);
  cases["rotate_expand"] = rotate(u8, 20, true, {.fill = {1, 2, 3}});
  cases["rotate_center"] = rotate(u8, 20, false, {.center = Point{3, 4}});
  cases["rotate_90"] = rotate(u8, 90, true, {});
  const AffineMap map = {.angle = 15, .translate = {2, -1}, .scale = 1.2, .shear = {5, -3}};
  cases["affine"] = affine(u8, map, bilinear);
  cases["affine_f32"] = affine(f32, map, {.fill = {0.5}});
}

void add_values(Cases& cases, const at::Tensor& u8, const at::Tensor& f32) {
  cases["grayscale"] = rgb_to_grayscale(u8, 1);
  cases["grayscale3"] = rgb_to_grayscale(u8, 3);
  cases["grayscale_f32"] = rgb_to_grayscale(f32, 1);
  cases["brightness_u8"] = adjust_brightness(u8, 1.3);
  cases["brightness_f32"] = adjust_brightness(f32, 0.6);
  cases["contrast_u8"] = adjust_contrast(u8, 1.3);
  cases["contrast_f32"] = adjust_contrast(f32, 0.6);
  cases["saturation_u8"] = adjust_saturation(u8, 1.3);
  cases["saturation_f32"] = adjust_saturation(f32, 0.6);
  cases["hue_u8"] = adjust_hue(u8, 0.2);
  cases["hue_f32"] = adjust_hue(f32, -0.35);
  cases["blur_u8"] = gaussian_blur(u8, {3, 5}, 0.8);
  cases["blur_f32"] = gaussian_blur(f32, {3, 5}, 0.8);
  cases["to_f32"] = to_dtype(u8, at::kFloat, true);
  cases["to_f32_unscaled"] = to_dtype(u8, at::kFloat, false);
  cases["to_i16"] = to_dtype(u8, at::kShort, true);
  cases["f32_to_u8"] = to_dtype(f32, at::kByte, true);
  cases["i16_to_u8"] = to_dtype(to_dtype(u8, at::kShort, true), at::kByte, true);
  const std::vector<double> mean = {0.485, 0.456, 0.406};
  const std::vector<double> std = {0.229, 0.224, 0.225};
  cases["normalize"] = normalize(to_dtype(u8, at::kFloat, true), mean, std);
  RandomStream random(0, 0, 0);
  cases["to_tensor_normalize"] = normalize(ToTensor().apply(u8, random), mean, std);
}

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {static_cast<const char*>(flat.const_data_ptr()), flat.nbytes()};
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

TEST(FunctionalTest, ResultsAreTorchvisions) {
  if (at::get_cpu_capability() != "AVX2")
    GTEST_SKIP() << "recorded with AVX2; this is " << at::get_cpu_capability();
  at::set_num_threads(1);
  Cases cases;
  const at::Tensor u8 = image();
  const at::Tensor f32 = u8.to(at::kFloat) / 255;
  add_geometry(cases, u8, f32);
  add_values(cases, u8, f32);
  std::ifstream stream("worker/trainer/data/transforms/testdata/expected.txt");
  std::size_t seen = 0;
  for (std::string name, type, shape, hex; stream >> name >> type >> shape >> hex;) {
    SCOPED_TRACE(name);
    if (name == "erase") continue;  // transforms_test.cc
    ASSERT_TRUE(cases.contains(name));
    ++seen;
    const at::Tensor& got = cases[name];
    std::ostringstream sizes;
    for (std::int64_t i = 0; i < got.dim(); ++i) sizes << (i == 0 ? "" : ",") << got.size(i);
    EXPECT_EQ(sizes.str(), shape);
    EXPECT_EQ(got.scalar_type(), dtype_of(type));
    const std::string expected = from_hex(hex);
    if (bytes_of(got) == expected) continue;
    // The bits of a convolution depend on oneDNN's choice of a kernel.
    const at::Tensor wanted =
        at::from_blob(const_cast<char*>(expected.data()), got.sizes(), got.scalar_type());
    const double difference =
        (got.contiguous().to(at::kDouble) - wanted.to(at::kDouble)).abs().max().item<double>();
    EXPECT_TRUE(name == "blur_f32" && difference < 1e-6) << "differs by up to " << difference;
  }
  EXPECT_EQ(seen, cases.size());
  EXPECT_EQ(seen, 60U);
}

// Batches go through ATen, operation by operation; single images of bytes do not.
TEST(FunctionalTest, HuesOfBytesHaveTheBitsOfTheLongWay) {
  std::vector<std::int64_t> bytes;
  std::uint32_t state = 1;
  for (int i = 0; i < 3 * 200 * 150; ++i)
    bytes.push_back((state = state * 1664525 + 1013904223) >> 24);
  const at::Tensor noise = at::tensor(bytes, at::kByte).view({200, 150, 3}).permute({2, 0, 1});
  const at::Tensor dark = noise.div(64, "floor").to(at::kByte);  // many greys and equal channels
  for (const at::Tensor& in : {noise, dark, noise.contiguous(), dark.narrow(1, 3, 100)}) {
    for (const double factor : {-0.5, -0.31, -0.1, 0.0, 0.07, 0.25, 0.5}) {
      SCOPED_TRACE(factor);
      EXPECT_TRUE(adjust_hue(in, factor).equal(adjust_hue(in.unsqueeze(0), factor).squeeze(0)));
    }
  }
}

TEST(FunctionalTest, ResizedPixelsStayTogether) {
  const at::Tensor small = resize(image(), {5, 6}, Interpolation::kBilinear, true);
  EXPECT_EQ(small.strides(), (std::vector<std::int64_t>{1, 18, 3}));
}

TEST(FunctionalTest, ImagesThatCannotBeWorkedOnAreBadSamples) {
  EXPECT_THROW(pad(image(), {20, 0, 0, 0}, {0}, PaddingMode::kReflect), BadSample);
  EXPECT_THROW(pad(image(), {20, 0, 0, 0}, {0}, PaddingMode::kSymmetric), BadSample);
  EXPECT_THROW(gaussian_blur(image(), {23, 3}, 1), BadSample);
  EXPECT_THROW(resized(image().narrow(-2, 0, 1), {}, 9), BadSample);  // 9 x 0
}

TEST(FunctionalTest, WhatNoImageWouldChangeIsAMisconfiguration) {
  EXPECT_THROW(normalize(image(), {0.5}, {0.5}), MisconfigurationException);
  EXPECT_THROW(normalize(image().to(at::kFloat), {0.5, 0.5}, {0.5}), MisconfigurationException);
  EXPECT_THROW(to_dtype(image().to(at::kFloat), at::kInt, true), MisconfigurationException);
  EXPECT_THROW(pad(image(), {1, 1, 1, 1}, {1, 2}, PaddingMode::kConstant),
               MisconfigurationException);
  EXPECT_THROW(adjust_hue(at::stack({image(1), image(1)}, 0).squeeze(1), 0.1),
               MisconfigurationException);
}

}  // namespace
}  // namespace lctl::transforms
