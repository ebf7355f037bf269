// Pixels are Pillow's, and what is not a whole image is refused.
#include "worker/trainer/data/images/decode_image.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/encode_for_test.h"

namespace lctl {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kFolder[] = "worker/trainer/data/images/testdata/";
constexpr std::int64_t kHeight = 13;
constexpr std::int64_t kWidth = 21;

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

// What Pillow 13.0 makes of the images (testdata/record.py).
struct Expected {
  std::string name;
  std::string rgb;
  std::string gray;
};

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

std::vector<Expected> all_expected() {
  std::ifstream stream(std::string(kFolder) + "expected.txt");
  std::vector<Expected> all;
  for (std::string name, rgb, gray; stream >> name >> rgb >> gray;)
    all.push_back({name, from_hex(rgb), from_hex(gray)});
  return all;
}

// Pixel after pixel, the channels of each together.
std::string bytes_of(const at::Tensor& image) {
  const at::Tensor rows = image.permute({1, 2, 0}).contiguous();
  return {reinterpret_cast<const char*>(rows.const_data_ptr<std::uint8_t>()),
          static_cast<std::size_t>(rows.numel())};
}

std::string refusal(const std::string& bytes, const DecodeOptions& options = {}) {
  try {
    decode_image(bytes, "folder/x.jpg", options);
  } catch (const BadSample& error) {
    return error.what();
  }
  return "accepted";
}

TEST(DecodeImageTest, AllKindsHavePillowsPixelsInColourAndInGrey) {
  const std::vector<Expected> all = all_expected();
  ASSERT_EQ(all.size(), 30U);
  for (const Expected& expected : all) {
    SCOPED_TRACE(expected.name);
    const std::string file = read_file(kFolder + expected.name);
    const at::Tensor rgb = decode_image(file, expected.name);
    EXPECT_EQ(rgb.sizes(), (std::vector<std::int64_t>{3, kHeight, kWidth}));
    EXPECT_EQ(rgb.scalar_type(), at::kByte);
    EXPECT_TRUE(bytes_of(rgb) == expected.rgb);
    const at::Tensor gray = decode_image(file, expected.name, {.mode = ImageReadMode::kGray});
    EXPECT_EQ(gray.sizes(), (std::vector<std::int64_t>{1, kHeight, kWidth}));
    EXPECT_TRUE(bytes_of(gray) == expected.gray);
  }
}

TEST(DecodeImageTest, IntoMemoryOfTheCallerGoTheSamePixelsPlaneByPlane) {
  for (const Expected& expected : all_expected()) {
    const std::string file = read_file(kFolder + expected.name);
    for (const ImageReadMode mode : {ImageReadMode::kRgb, ImageReadMode::kGray}) {
      SCOPED_TRACE(expected.name);
      const at::Tensor image = decode_image(file, "x", {.mode = mode});
      at::Tensor planes;
      const auto memory = [&](std::int64_t channels, std::int64_t height, std::int64_t width) {
        planes = at::zeros({channels, height, width}, at::kByte);
        return planes.mutable_data_ptr<std::uint8_t>();
      };
      EXPECT_EQ(decode_image_into(memory, file, "x", {.mode = mode}), std::nullopt);
      EXPECT_TRUE(planes.equal(image));

      const auto none = [](auto...) { return nullptr; };
      const auto own = decode_image_into(none, file, "x", {.mode = mode});
      ASSERT_TRUE(own.has_value());
      EXPECT_TRUE(own->equal(image));
    }
  }
}

TEST(DecodeImageTest, ChannelsOfAPixelLieTogether) {
  EXPECT_EQ(decode_image(encode_jpeg(), "x").strides(), (std::vector<std::int64_t>{1, 51, 3}));
  EXPECT_EQ(decode_image(encode_png(), "x").strides(), (std::vector<std::int64_t>{1, 51, 3}));
}

// The memory of an image is taken again, but never that of one that somebody still has.
TEST(DecodeImageTest, ImagesThatAreHeldKeepTheirPixels) {
  const std::string gray = encode_jpeg({.components = 1});
  const at::Tensor first = decode_image(encode_jpeg(), "x");
  const std::string before = bytes_of(first);
  const at::Tensor part = decode_image(encode_jpeg(), "x").narrow(1, 2, 3);
  const std::string part_before = bytes_of(part);
  for (int i = 0; i < 3; ++i) decode_image(gray, "x");
  EXPECT_EQ(bytes_of(first), before);
  EXPECT_EQ(bytes_of(part), part_before);
}

// The table that a file lacks must not come from the image before it.
TEST(DecodeImageTest, ImagesBeforeAnImageDoNotMatter) {
  std::string file = encode_jpeg();
  const std::size_t tables = file.find("\xFF\xDB");
  ASSERT_NE(tables, std::string::npos);
  file.erase(tables, 2 * (2 + 67));
  EXPECT_EQ(refusal(encode_jpeg()), "accepted");
  EXPECT_THAT(refusal(file), HasSubstr("Quantization table 0x00 was not defined"));
}

TEST(DecodeImageTest, TruncatedFilesAreRefusedInTheLibrarysWords) {
  const std::string jpeg = encode_jpeg();
  EXPECT_EQ(refusal(cut(jpeg, jpeg.size() / 2)), "folder/x.jpg: Premature end of JPEG file");
  EXPECT_EQ(refusal(cut(jpeg, jpeg.size() * 9 / 10)), "folder/x.jpg: Premature end of JPEG file");
  const std::string png = encode_png();
  EXPECT_EQ(refusal(cut(png, png.size() / 2)), "folder/x.jpg: premature end of PNG file");
}

TEST(DecodeImageTest, ADamagedPngIsRefusedByItsChecksums) {
  const std::string png = encode_png();
  EXPECT_THAT(refusal(with_bit_turned(png, 8 * 20)), HasSubstr("IHDR: CRC error"));
  const std::size_t data = png.find("IDAT");
  EXPECT_THAT(refusal(with_bit_turned(png, 8 * (data + 4) + 8 * 20)),
              AnyOf(HasSubstr("CRC error"), HasSubstr("IDAT")));
}

TEST(DecodeImageTest, TheHeaderIsNotTrusted) {
  EXPECT_EQ(refusal(encode_png(), {.max_pixels = 100}),
            "folder/x.jpg: 17 x 9 pixels are more than the limit of 100");
  EXPECT_EQ(refusal(encode_jpeg(), {.max_pixels = 152}),
            "folder/x.jpg: 17 x 9 pixels are more than the limit of 152");
  EXPECT_EQ(refusal(encode_jpeg(), {.max_pixels = 153}), "accepted");
  // 65280 x 65280 in a file of some hundred bytes.
  std::string jpeg = encode_jpeg();
  const std::size_t frame = jpeg.find("\xFF\xC0");
  jpeg.replace(frame + 5, 4, std::string("\xFF\0\xFF\0", 4));
  EXPECT_THAT(refusal(jpeg), HasSubstr("65280 x 65280 pixels are more than the limit"));
}

TEST(DecodeImageTest, WhatAFileIsItsBytesSay) {
  EXPECT_EQ(refusal(""), "folder/x.jpg: the file is empty");
  EXPECT_THAT(refusal("RIFF....WEBPVP8 "), HasSubstr("it is a WebP image; convert it"));
  EXPECT_THAT(refusal("GIF89a"), HasSubstr("it is a GIF image"));
  EXPECT_EQ(refusal("<html>"),
            "folder/x.jpg: neither a JPEG nor a PNG image; it begins with 3c 68 74 6d");
  EXPECT_EQ(decode_image(encode_png(), "x.jpg").size(0), 3);
}

// Whatever is cut off or turned over: an image or a refusal that names the file.
TEST(DecodeImageTest, NoDamageDoesMore) {
  const std::vector<std::string> files = {
      encode_jpeg(),
      encode_jpeg({.components = 1, .progressive = true}),
      encode_jpeg({.components = 4}),
      encode_png(),
      encode_png({.color = 3, .depth = 2}),
      encode_png({.color = 6, .depth = 16, .interlaced = true})};
  int refused = 0;
  const DecodeOptions options = {.max_pixels = 1 << 20};
  for (const std::string& file : files) {
    for (std::size_t size = 0; size < file.size(); ++size) {
      const std::string answer = refusal(cut(file, size), options);
      ASSERT_THAT(answer, AnyOf("accepted", StartsWith("folder/x.jpg: ")));
      refused += answer != "accepted";
    }
    for (std::size_t bit = 0; bit < file.size() * 8; bit += 3) {
      const std::string answer = refusal(with_bit_turned(file, bit), options);
      ASSERT_THAT(answer, AnyOf("accepted", StartsWith("folder/x.jpg: ")));
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(DecodeImageTest, ThreadsDecodeAtTheSameTime) {
  const std::string good = encode_jpeg();
  const std::string bad = cut(good, good.size() / 2);
  const std::string expected = bytes_of(decode_image(good, "x"));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        wrong[t] += bytes_of(decode_image(good, "x")) != expected;
        wrong[t] += refusal(bad) == "accepted";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace lctl
