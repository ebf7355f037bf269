// The expected values are what torch.utils.tensorboard 2.11 makes of the same input.
#include "worker/trainer/loggers/tensorboard_summary.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/loggers/png.h"
#include "worker/trainer/loggers/tensorboard_hparams.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::string hex(const google::protobuf::Message& message) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : message.SerializeAsString()) {
    text.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    text.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return text;
}

template <typename Function>
std::string refusal(Function function) {
  try {
    function();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

// ---- histograms

tensorboard::Histogram histogram(std::vector<double> values) {
  return histogram_summary("h", at::tensor(values, at::kDouble), default_bucket_edges())
      .value(0)
      .histo();
}

// Buckets with something in them: place and upper edge.
std::vector<std::pair<int, double>> filled(const tensorboard::Histogram& histogram) {
  std::vector<std::pair<int, double>> result;
  for (int i = 0; i < histogram.bucket_size(); ++i) {
    if (histogram.bucket(i) > 0) result.emplace_back(i, histogram.bucket_limit(i));
  }
  return result;
}

TEST(HistogramTest, BucketsAreTensorFlowsAroundTheValues) {
  ASSERT_EQ(default_bucket_edges().size(), 1549U);
  EXPECT_EQ(default_bucket_edges().front(), -9.920775621859783e+19);
  const tensorboard::Histogram h = histogram({1.0, 1.25, 1.5, 1.5, 2.0, 0.875});
  EXPECT_EQ(h.min(), 0.875);
  EXPECT_EQ(h.max(), 2.0);
  EXPECT_EQ(h.num(), 6.0);
  EXPECT_EQ(h.sum(), 8.125);
  EXPECT_EQ(h.sum_squares(), 11.828125);
  EXPECT_THAT(h.bucket(), ElementsAre(0, 1, 1, 0, 0, 1, 0, 2, 0, 0, 1));
  EXPECT_EQ(h.bucket_limit(0), 0.8338603536725235);
  EXPECT_EQ(h.bucket_limit(10), 2.1628190051144287);
}

TEST(HistogramTest, NegativeValuesAndZeroHaveBucketsOfTheirOwn) {
  const tensorboard::Histogram h = histogram({-2.0, -0.5, 0.0, 0.25, 1.0, 1.0, 3.0});
  EXPECT_EQ(h.bucket_size(), 603);
  EXPECT_EQ(h.bucket_limit_size(), 603);
  EXPECT_EQ(h.bucket_limit(0), -2.1628190051144287);
  EXPECT_THAT(filled(h),
              ElementsAre(std::pair(1, -1.9661990955585713), std::pair(16, -0.47069243095356195),
                          std::pair(300, 1e-12), std::pair(576, 0.2656936063469233),
                          std::pair(590, 1.0089710279437536), std::pair(602, 3.1665833053880363)));
}

TEST(HistogramTest, OwnEdgesCountTheLastEdgeAndNothingBeyond) {
  const std::vector<double> edges = {0, 1, 2};
  const auto h =
      histogram_summary("h", at::tensor({0.5, 1.0, 1.5, 2.0, 2.5}), edges).value(0).histo();
  EXPECT_THAT(h.bucket_limit(), ElementsAre(0, 1, 2));
  EXPECT_THAT(h.bucket(), ElementsAre(0, 1, 3));
  EXPECT_EQ(h.num(), 5.0);
}

TEST(HistogramTest, IntegersAndInfinityAreValuesToo) {
  const auto whole = histogram_summary("h", at::tensor({5, 7, 7}), default_bucket_edges());
  EXPECT_THAT(whole.value(0).histo().bucket(), ElementsAre(0, 1, 0, 0, 0, 2));
  const auto infinite = histogram({std::numeric_limits<double>::infinity(), 1.0});
  EXPECT_EQ(infinite.bucket_size(), 2);
  EXPECT_EQ(infinite.max(), std::numeric_limits<double>::infinity());
}

TEST(HistogramTest, WhatHasNoBucketIsRefusedByTag) {
  const auto edges = default_bucket_edges();
  EXPECT_THAT(refusal([&] { histogram_summary("w", at::empty({0}), edges); }),
              HasSubstr("add_histogram('w'): the tensor has no element"));
  EXPECT_THAT(refusal([&] { histogram_summary("w", at::full({2}, NAN), edges); }),
              HasSubstr("no value lies between"));
  const std::vector<double> falling = {2, 1};
  EXPECT_THAT(refusal([&] { histogram_summary("w", at::ones({2}), falling); }),
              HasSubstr("rising order"));
}

// ---- images

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number = number << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return number;
}

// The pixels of a PNG as encode_png makes them; the checksum of each chunk is checked.
std::vector<int> decoded(const std::string& png, std::size_t channels) {
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  std::string data;
  std::string types;
  std::size_t width = 0;
  std::size_t height = 0;
  for (std::size_t at = 8; at < png.size();) {
    const std::size_t size = number_at(png, at);
    const std::string type = png.substr(at + 4, 4);
    const auto* checked = reinterpret_cast<const Bytef*>(png.data() + at + 4);
    EXPECT_EQ(number_at(png, at + 8 + size), crc32(0, checked, static_cast<uInt>(size) + 4));
    if (type == "IHDR") {
      width = number_at(png, at + 8);
      height = number_at(png, at + 12);
    }
    if (type == "IDAT") data += png.substr(at + 8, size);
    types += type;
    at += size + 12;
  }
  EXPECT_EQ(types, "IHDRIDATIEND");
  uLongf size = (width * channels + 1) * height;
  std::string rows(size, '\0');
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(rows.data()), &size,
                       reinterpret_cast<const Bytef*>(data.data()), data.size()),
            Z_OK);
  std::vector<int> pixels;
  for (std::size_t row = 0; row < height; ++row) {
    const std::size_t start = row * (width * channels + 1);
    EXPECT_EQ(rows[start], 1);
    for (std::size_t i = 0; i < width * channels; ++i) {
      const int left = i < channels ? 0 : pixels[pixels.size() - channels];
      pixels.push_back((left + static_cast<unsigned char>(rows[start + 1 + i])) % 256);
    }
  }
  return pixels;
}

std::vector<int> pixels_of(const at::Tensor& image, const char* dataformats) {
  const tensorboard::Summary summary = image_summary("i", image, dataformats);
  const tensorboard::Summary::Image& stored = summary.value(0).image();
  const auto pixels =
      decoded(stored.encoded_image_string(), static_cast<std::size_t>(stored.colorspace()));
  EXPECT_EQ(static_cast<std::int32_t>(pixels.size()),
            stored.height() * stored.width() * stored.colorspace());
  return pixels;
}

TEST(ImageTest, FloatsAreScaledClippedAndCutOff) {
  EXPECT_THAT(pixels_of(at::arange(24).reshape({3, 2, 4}) * 12.5 / 255, "CHW"),
              ElementsAre(0, 100, 200, 12, 112, 212, 25, 125, 225, 37, 137, 237, 50, 150, 250, 62,
                          162, 255, 75, 175, 255, 87, 187, 255));
  EXPECT_THAT(pixels_of(at::tensor({-1.0, 0.1, 0.999, double{NAN}}).reshape({2, 2}), "HW"),
              ElementsAre(0, 0, 0, 25, 25, 25, 254, 254, 254, 0, 0, 0));
}

TEST(ImageTest, OneChannelBecomesThreeAndFourStay) {
  EXPECT_THAT(pixels_of(at::tensor({0.0, 0.5, 1.0, 2.0}).reshape({1, 2, 2}), "CHW"),
              ElementsAre(0, 0, 0, 127, 127, 127, 255, 255, 255, 255, 255, 255));
  EXPECT_THAT(pixels_of(at::arange(16).reshape({4, 2, 2}) / 16.0, "CHW"),
              ElementsAre(0, 63, 127, 191, 15, 79, 143, 207, 31, 95, 159, 223, 47, 111, 175, 239));
}

TEST(ImageTest, BytesStayAsTheyAre) {
  const auto image = at::arange(12, at::kByte).reshape({2, 2, 3}) * 20;
  EXPECT_THAT(pixels_of(image, "HWC"),
              ElementsAre(0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220));
}

TEST(ImageTest, ABatchIsAGridOfEightInARow) {
  const tensorboard::Summary summary =
      image_summary("i", at::arange(20).reshape({10, 1, 1, 2}) / 20.0, "NCHW");
  const tensorboard::Summary::Image& image = summary.value(0).image();
  EXPECT_EQ(image.height(), 2);
  EXPECT_EQ(image.width(), 16);
  std::vector<int> expected;
  for (const int grey : {0,   12,  25,  38,  51,  63,  76,  89,  102, 114,
                         127, 140, 153, 165, 178, 191, 204, 216, 229, 242}) {
    expected.insert(expected.end(), 3, grey);
  }
  expected.resize(2 * 16 * 3, 0);
  EXPECT_THAT(decoded(image.encoded_image_string(), 3), ElementsAreArray(expected));
}

TEST(ImageTest, WrongShapesAreRefusedByTag) {
  EXPECT_THAT(refusal([] { image_summary("x", at::ones({2, 2}), "CHW"); }),
              HasSubstr("add_image('x'): a tensor of shape [2, 2] is not CHW"));
  EXPECT_THAT(refusal([] { image_summary("x", at::ones({5, 2, 2}), "CHW"); }),
              HasSubstr("got [5, 2, 2]"));
  EXPECT_THAT(refusal([] { image_summary("x", at::ones({3, 2, 2}), "CHH"); }), HasSubstr("twice"));
  EXPECT_THAT(refusal([] { image_summary("x", at::ones({3, 2, 2}), "CHX"); }),
              HasSubstr("lacks W"));
  EXPECT_THAT(refusal([] { image_summary("x", at::ones({3, 0, 2}), "CHW"); }),
              HasSubstr("at least one pixel"));
  EXPECT_THAT(refusal([] { image_summary("x", at::ones({2, 2, 2, 2}), "NCHW"); }),
              HasSubstr("1 or 3 channels"));
  EXPECT_THAT(refusal([] { encode_png({}, 0, 1, 3); }), HasSubstr("at least one pixel"));
}

// ---- texts and hyper-parameters

TEST(TextSummaryTest, BytesAreThoseOfTorch) {
  EXPECT_EQ(
      hex(text_summary("t", "hello *world*")),
      "0a330a0e742f746578745f73756d6d61727942170807120412020801420d68656c6c6f202a776f726c642a4a08"
      "0a060a0474657874");
}

TEST(HparamsTest, BytesAreThoseOfTorch) {
  checkpoint::Dict hparams;
  hparams.set("lr", 0.5);
  hparams.set("n", 3);
  hparams.set("flag", true);
  hparams.set("opt", "sgd");
  const std::vector<std::string_view> metrics = {"hp_metric"};
  const auto summaries = hparams_summaries(hparams, metrics);
  ASSERT_EQ(summaries.size(), 3U);
  EXPECT_EQ(
      hex(summaries[0]),
      "0a580a145f68706172616d735f2f6578706572696d656e744a400a3e0a0768706172616d731233123122060a026c"
      "72200322050a016e200322080a04666c6167200322070a036f707420012a0d0a0b120968705f6d6574726963");
  EXPECT_EQ(
      hex(summaries[2]),
      "0a2f0a1a5f68706172616d735f2f73657373696f6e5f656e645f696e666f4a110a0f0a0768706172616d73120422"
      "020801");
  // The values are a map, whose order is free.
  tensorboard::HParamsPluginData start;
  ASSERT_TRUE(start.ParseFromString(summaries[1].value(0).metadata().plugin_data().content()));
  EXPECT_EQ(summaries[1].value(0).tag(), "_hparams_/session_start_info");
  const auto& values = start.session_start_info().hparams();
  ASSERT_EQ(values.size(), 4U);
  EXPECT_EQ(values.at("lr").number_value(), 0.5);
  EXPECT_EQ(values.at("n").number_value(), 3);
  EXPECT_EQ(values.at("flag").number_value(), 1);
  EXPECT_EQ(values.at("opt").string_value(), "sgd");
}

TEST(HparamsTest, NestedOnesBecomeFlatAndOthersPythonTexts) {
  using checkpoint::Dict;
  using checkpoint::List;
  using checkpoint::Value;
  const auto dict = [](const char* key, Value value) {
    Dict made;
    made.set(key, std::move(value));
    return made;
  };
  Dict sub = dict("x", 1);
  sub.set("deep", dict("y", "z"));
  Dict hparams = dict("lr", 1e-5);
  hparams.set("none", Value());
  hparams.set("sub", sub);
  hparams.set("empty", Dict());
  hparams.set("no", List());
  hparams.set("l", List{1, 2.0, "a", Value(), checkpoint::Tuple{{1}}, dict("k", true)});
  hparams.set("dl", List{dict("a", 1), dict("b", 2)});
  hparams.set(5, "five");
  hparams.set("q", List{"it's"});
  std::vector<std::string> shown;
  const Dict flat = flat_hparams(hparams);
  for (const auto& [key, value] : flat.entries()) {
    shown.push_back(key.as_string() + "=" +
                    (value.is_string() ? value.as_string() : std::to_string(value.as_double())));
  }
  EXPECT_THAT(shown, ElementsAre("lr=0.000010", "none=None", "sub/x=1.000000", "sub/deep/y=z",
                                 "l=[1, 2.0, 'a', None, (1,), {'k': True}]", "dl/0/a=1.000000",
                                 "dl/1/b=2.000000", "5=five", "q=[\"it's\"]"));
}

}  // namespace
}  // namespace lctl
