#include "worker/trainer/data/webdataset/field_decoder.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/scalar_tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/gzip_for_test.h"
#include "worker/trainer/data/webdataset/inflate.h"

namespace lctl::webdataset {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Batch decoded(const std::string& extension, std::string_view text) {
  return decoder_of(extension, {})(bytes_of(text), extension);
}

template <typename Error = BadSample>
std::string error_of(const std::string& extension, std::string_view text = "") {
  try {
    decoded(extension, text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

template <typename T>
std::vector<T> values(const Batch& batch) {
  const at::Tensor tensor = batch.tensor().contiguous();
  return {tensor.const_data_ptr<T>(), tensor.const_data_ptr<T>() + tensor.numel()};
}

std::vector<std::int64_t> shape(const Batch& batch) { return batch.tensor().sizes().vec(); }

TEST(FieldDecoderTest, ClassesAreWholeNumbers) {
  for (const char* extension : {"cls", "cls2", "index", "id", "left.cls"}) {
    const Batch batch = decoded(extension, " 17\n");
    EXPECT_EQ(batch.tensor().scalar_type(), at::kLong);
    EXPECT_THAT(shape(batch), ElementsAre());
    EXPECT_THAT(values<std::int64_t>(batch), ElementsAre(17));
  }
  EXPECT_THAT(values<std::int64_t>(decoded("cls", "+3")), ElementsAre(3));
  EXPECT_THAT(values<std::int64_t>(decoded("cls", "-9223372036854775808")),
              ElementsAre(std::numeric_limits<std::int64_t>::min()));
  EXPECT_EQ(error_of("cls", "ca\nt "), "cls: 'ca?t' is no whole number");
  EXPECT_THAT(error_of("cls", "9223372036854775808"), HasSubstr("of 64 bits"));
  for (const char* wrong : {"", " ", "1.5", "1 2", "+-1", "0x10"})
    EXPECT_THAT(error_of("cls", wrong), HasSubstr("no whole number")) << wrong;
}

TEST(FieldDecoderTest, TextIsUtf8) {
  const Batch batch = decoded("txt", "grüße\n");
  ASSERT_TRUE(batch.is_text());
  EXPECT_EQ(error_of("txt", "gr\xfc\xdf"), "txt: the text is not UTF-8");
}

// The types and shapes of torch.tensor(json.loads(text)), recorded from torch 2.11.
TEST(FieldDecoderTest, NumbersOfJsonAreTensors) {
  const Batch whole = decoded("json", "[[1, 2, 3], [4, 5, -6]]");
  EXPECT_EQ(whole.tensor().scalar_type(), at::kLong);
  EXPECT_THAT(shape(whole), ElementsAre(2, 3));
  EXPECT_THAT(values<std::int64_t>(whole), ElementsAre(1, 2, 3, 4, 5, -6));
  const Batch mixed = decoded("json", "[1, 2.5]");
  EXPECT_EQ(mixed.tensor().scalar_type(), at::kFloat);
  EXPECT_THAT(values<float>(mixed), ElementsAre(1, 2.5));
  EXPECT_THAT(shape(decoded("jsn", "3.5")), ElementsAre());
  EXPECT_THAT(values<std::int64_t>(decoded("json", "7")), ElementsAre(7));
  for (const auto& [text, sizes] : std::vector<std::pair<const char*, std::vector<std::int64_t>>>{
           {"[]", {0}}, {"[[], []]", {2, 0}}, {"[[[1]], [[2]]]", {2, 1, 1}}}) {
    EXPECT_EQ(shape(decoded("json", text)), sizes);
  }
  EXPECT_EQ(decoded("json", "[]").tensor().scalar_type(), at::kFloat);
}

TEST(FieldDecoderTest, OtherJsonStaysText) {
  for (const char* text : {"{\"a\": 1}", "\"word\"", "null", "true", "[1, \"a\"]", "[[1], [2, 3]]",
                           "[1, [2]]", "[[1], 2]", "[[[[[[[[[1]]]]]]]]]", "[[], [1]]"}) {
    EXPECT_TRUE(decoded("json", text).is_text()) << text;
  }
  EXPECT_THAT(error_of("json", "{\"a\": "), HasSubstr("json: no JSON: "));
  EXPECT_THAT(error_of("json", "[9223372036854775808]"), HasSubstr("64 bits"));
  EXPECT_NE(error_of("json", std::string(200'000, '[')), "no error");
}

TEST(FieldDecoderTest, CompressedFilesAreInflatedFirst) {
  EXPECT_THAT(values<std::int64_t>(decoded("cls.gz", gzipped("1") + gzipped("7"))),
              ElementsAre(17));
  EXPECT_THAT(values<std::uint8_t>(decoded("bin.gz", gzipped("ab"))), ElementsAre('a', 'b'));
  const std::string packed = gzipped(std::string(100'000, 'x'));
  EXPECT_EQ(inflate_gzip(bytes_of(packed)), std::string(100'000, 'x'));
  EXPECT_EQ(error_of("txt.gz", std::string_view(packed).substr(0, packed.size() - 9)),
            "txt.gz: the gzip file is cut off");
  EXPECT_THAT(error_of("txt.gz", "plain"), HasSubstr("txt.gz: no gzip: "));
  EXPECT_THAT(error_of("txt.gz", ""), HasSubstr("cut off"));
}

TEST(FieldDecoderTest, ABombOfZerosIsRefused) {
  const std::string part = gzipped(std::string(64 << 20, '\0'));
  EXPECT_THAT(error_of("bin.gz", part + part + part + part + part), HasSubstr("256 MiB"));
}

TEST(FieldDecoderTest, PicklesAndTypesWithoutADecoderAreRefusedBeforehand) {
  EXPECT_THAT(error_of<MisconfigurationException>("pyd"),
              AllOf(HasSubstr(".pyd is a Python pickle"), HasSubstr("any program")));
  EXPECT_THAT(error_of<MisconfigurationException>("left.pickle"), HasSubstr("pickle"));
  EXPECT_THAT(error_of<MisconfigurationException>("pth"), HasSubstr("pickle"));
  EXPECT_THAT(error_of<MisconfigurationException>("npz"), HasSubstr("not read here"));
  EXPECT_THAT(error_of<MisconfigurationException>("seg.png"), HasSubstr("no decoder"));
  EXPECT_THAT(error_of<MisconfigurationException>("npy.gz"), HasSubstr("no decoder"));
  EXPECT_FALSE(decoder_of("mp4", {}));
}

TEST(FieldDecoderTest, TheLongestGivenExtensionComesFirst) {
  const auto giving = [](std::int64_t value) {
    return [value](std::span<const std::byte>, const std::string&) {
      return Batch(at::scalar_tensor(value, at::kLong));
    };
  };
  const FieldDecoders given = {{"png", giving(1)}, {"seg.png", giving(2)}, {"cls", giving(3)}};
  for (const auto& [extension, which] : std::vector<std::pair<std::string, std::int64_t>>{
           {"png", 1}, {"a.png", 1}, {"seg.png", 2}, {"a.seg.png", 2}, {"cls", 3}}) {
    const FieldDecoder decoder = decoder_of(extension, given);
    EXPECT_THAT(values<std::int64_t>(decoder({}, extension)), ElementsAre(which)) << extension;
  }
}

}  // namespace
}  // namespace lctl::webdataset
