// Files that NumPy 2.4.6, safetensors 0.8.0 and torch 2.11.0 have written (testdata/record.py).
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/npz.h"
#include "worker/trainer/data/formats/open_array_file.h"
#include "worker/trainer/data/formats/safetensors.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string recorded(const std::string& name) {
  return "worker/trainer/data/formats/testdata/" + name;
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <typename Fn>
std::string bad_sample(const Fn& fn) {
  try {
    fn();
    return "";
  } catch (const BadSample& error) {
    return error.what();
  }
}

void expect_tensor(const at::Tensor& tensor, const at::Tensor& expected, const std::string& what) {
  EXPECT_EQ(tensor.scalar_type(), expected.scalar_type()) << what;
  EXPECT_EQ(tensor.sizes(), expected.sizes()) << what;
  // torch compares few of the rarer types; all have doubles or complex doubles for these values.
  const at::ScalarType common = expected.is_complex() ? at::kComplexDouble : at::kDouble;
  EXPECT_TRUE(at::equal(tensor.to(common), expected.to(common))) << what << "\n" << tensor;
}

at::Tensor base() { return at::arange(-3, 3, at::kLong).view({2, 3}); }

struct Kind {
  const char* name;
  at::ScalarType type;
};

TEST(NpzTest, EveryElementTypeOfBothByteOrdersIsRead) {
  const auto file = open_array_file(recorded("every_dtype.npz"));
  for (const Kind& kind :
       {Kind{"b1", at::kBool}, Kind{"i1", at::kChar}, Kind{"i2", at::kShort}, Kind{"i4", at::kInt},
        Kind{"i8", at::kLong}, Kind{"u1", at::kByte}, Kind{"u2", at::kUInt16},
        Kind{"u4", at::kUInt32}, Kind{"u8", at::kUInt64}, Kind{"f2", at::kHalf},
        Kind{"f4", at::kFloat}, Kind{"f8", at::kDouble}, Kind{"c8", at::kComplexFloat},
        Kind{"c16", at::kComplexDouble}}) {
    at::Tensor expected = base();
    if (kind.name[0] == 'b') expected = base().remainder(2).eq(0);
    if (kind.name[0] == 'u') expected = base().add(3);
    if (kind.name[0] == 'c')
      expected = at::complex(base().to(at::kDouble), base().to(at::kDouble).mul(0.5));
    for (const char* order : {"little_", "big_"}) {
      const std::string name = std::string(order) + kind.name;
      expect_tensor(file->get(name), expected.to(kind.type), name);
    }
  }
  expect_tensor(file->get("scalar"), at::scalar_tensor(2.5, at::kDouble), "scalar");
  EXPECT_EQ(file->get("empty").sizes(), (std::vector<std::int64_t>{0, 3}));
}

TEST(NpzTest, StoredAndDeflatedMembersAreTheSame) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const std::string path = recorded(name);
    expect_tensor(load_array(path, "images"), at::arange(24, at::kByte).view({2, 3, 4}), name);
    expect_tensor(load_array(path, "labels.npy"), at::tensor({7, -1}, at::kLong), name);
    EXPECT_EQ(load_array(path, "weights")[1].item<float>(), 0.25F);
  }
  EXPECT_EQ(load_array(recorded("deflated.npz"), "zeros").numel(), 10000);
}

TEST(NpzTest, StoredBytesAreMappedAndWritingNeverReachesTheFile) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "mine.npz").string();
  std::filesystem::copy_file(recorded("stored.npz"), path,
                             std::filesystem::copy_options::overwrite_existing);
  const std::string before = contents(path);
  at::Tensor first = load_array(path, "images");
  const NpzFile file(SharedBytes::map(path));
  const at::Tensor second = file.get("images");
  // The very bytes of the mapping: two views of one file object, and no copy.
  EXPECT_EQ(file.get("images").data_ptr(), second.data_ptr());
  EXPECT_NE(first.data_ptr(), second.data_ptr());
  first.fill_(9);
  EXPECT_EQ(first.sum().item<std::int64_t>(), 9 * 24);
  EXPECT_EQ(second[1][2][3].item<std::uint8_t>(), 23);
  EXPECT_EQ(contents(path), before);
}

TEST(NpzTest, WhatNoTensorCanHoldIsRefusedByName) {
  const auto why = [](const std::string& name) {
    return bad_sample([&] { load_array(recorded("refused.npz"), name); });
  };
  EXPECT_THAT(why("object"), HasSubstr("dtype \"|O\": the array holds Python objects, which only "
                                       "pickle could read"));
  EXPECT_THAT(why("object"), HasSubstr("refused.npz: object.npy: "));
  EXPECT_THAT(why("unicode"), HasSubstr("dtype \"<U5\": the array holds text"));
  EXPECT_THAT(why("bytes"), HasSubstr("dtype \"|S3\": the array holds text"));
  EXPECT_THAT(why("structured"), HasSubstr("a structured dtype, \"[('a', '<i4'), ('b', '<f8')]"));
  EXPECT_THAT(why("date"), HasSubstr("dtype \"<M8[D]\": the array holds dates"));
  EXPECT_THAT(why("longdouble"), HasSubstr("dtype \"<f16\": torch has no such floating point"));
}

TEST(NpzTest, OtherMembersAreNoArraysAndOtherMethodsAreRefused) {
  EXPECT_THAT(open_array_file(recorded("mixed.npz"))->names(), ElementsAre("u1", "fortran"));
  EXPECT_EQ(load_array(recorded("mixed.npz"), "fortran")[1][0].item<float>(), 0.0F);
  EXPECT_THAT(bad_sample([] { open_array_file(recorded("bzip2.npz")); }),
              HasSubstr("member \"u1.npy\" is compressed by method 12"));
}

TEST(NpzTest, DamageInDeflatedMembersIsNoticed) {
  const std::string whole = contents(recorded("deflated.npz"));
  const NpzFile good(SharedBytes::of(whole, "d.npz"));
  int noticed = 0;
  // The members' bytes, one wrong after another.
  for (std::size_t at = 60; at < 300; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    noticed += bad_sample([&] {
                 const NpzFile file(SharedBytes::of(damaged, "d.npz"));
                 for (const std::string& name : file.names()) {
                   EXPECT_TRUE(at::equal(file.get(name), good.get(name))) << "wrong byte " << at;
                 }
               }).empty()
                   ? 0
                   : 1;
  }
  EXPECT_GT(noticed, 200);
  EXPECT_THAT(bad_sample([&] { NpzFile(SharedBytes::of(whole.substr(0, 500), "d.npz")); }),
              HasSubstr("d.npz: is no ZIP archive, or its end is cut off"));
}

TEST(NpyTest, AllVersionsAndBothOrdersAreRead) {
  expect_tensor(load_array(recorded("version2.npy")), base().to(at::kInt), "2.0");
  expect_tensor(load_array(recorded("version3.npy")), base().to(at::kInt), "3.0");
  const at::Tensor fortran = load_array(recorded("fortran.npy"));
  expect_tensor(fortran, base().to(at::kFloat), "Fortran");
  EXPECT_EQ(fortran.strides(), (std::vector<std::int64_t>{1, 2}));
}

TEST(NpyTest, FileMayGoWhileItsTensorStays) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "gone.npy").string();
  std::filesystem::copy_file(recorded("uint8.npy"), path,
                             std::filesystem::copy_options::overwrite_existing);
  const at::Tensor array = load_array(path);
  std::filesystem::remove(path);
  EXPECT_EQ(array[0][0].item<std::uint8_t>(), 253);  // numpy: -3 as u1
}

TEST(SafetensorsTest, EveryElementTypeIsRead) {
  const SafetensorsFile file(SharedBytes::map(recorded("every_dtype.safetensors")));
  const at::Tensor values = at::tensor({-1.5, 0.0, 0.25, 1.0, 2.0, 3.0}, at::kDouble).view({2, 3});
  for (const Kind& kind :
       {Kind{"float16", at::kHalf}, Kind{"bfloat16", at::kBFloat16}, Kind{"float32", at::kFloat},
        Kind{"float64", at::kDouble}, Kind{"float8_e4m3fn", at::kFloat8_e4m3fn},
        Kind{"float8_e5m2", at::kFloat8_e5m2}, Kind{"int8", at::kChar}, Kind{"int16", at::kShort},
        Kind{"int32", at::kInt}, Kind{"int64", at::kLong}, Kind{"bool", at::kBool}}) {
    expect_tensor(file.get(kind.name), values.to(kind.type), kind.name);
  }
  for (const Kind& kind : {Kind{"uint8", at::kByte}, Kind{"uint16", at::kUInt16},
                           Kind{"uint32", at::kUInt32}, Kind{"uint64", at::kUInt64}}) {
    expect_tensor(file.get(kind.name), values.abs().to(kind.type), kind.name);
  }
  expect_tensor(file.get("complex64"), at::complex(values, values.neg()).to(at::kComplexFloat),
                "c64");
  EXPECT_EQ(file.get("empty").sizes(), (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(file.get("scalar").item<float>(), 2.5F);
  EXPECT_EQ(file.names().size(), 18U);
  EXPECT_THAT(file.metadata(), ::testing::UnorderedElementsAre(
                                   std::pair<std::string, std::string>("format", "pt"),
                                   std::pair<std::string, std::string>("note", "a \"b\"")));
}

// A file of this header and that many bytes behind it.
std::string refusal(const std::string& header, std::size_t data) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i)
    bytes[static_cast<std::size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
  bytes += header + std::string(data, '\0');
  return bad_sample([&] { SafetensorsFile(SharedBytes::of(bytes, "m.safetensors")); });
}

TEST(SafetensorsTest, HolesOverlapsAndOverflowsAreRefused) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
  };
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), 4), "");
  EXPECT_EQ(refusal(two("[2,4]", "[0,2]"), 4), "");
  EXPECT_THAT(
      refusal(two("[0,2]", "[1,3]"), 3),
      HasSubstr("tensor \"b\" lies from byte 1 to 3 of the data, but the one before ends at "
                "2: tensors may not overlap nor leave holes"));
  EXPECT_THAT(refusal(two("[0,2]", "[3,5]"), 5), HasSubstr("the one before ends at 2"));
  EXPECT_THAT(refusal(two("[0,2]", "[2,1]"), 4), HasSubstr("the one before ends at 2"));
  EXPECT_THAT(refusal(two("[0,2]", "[2,4]"), 3), HasSubstr("the file is cut off"));
  EXPECT_THAT(refusal(two("[0,2]", "[2,4]"), 5), HasSubstr("1 bytes follow the last tensor"));
  EXPECT_THAT(refusal(two("[0,2]", "[2,18446744073709551615]"), 4), HasSubstr("is cut off"));
  EXPECT_THAT(refusal(two("[0,2]", "[2,5]"), 5), HasSubstr("tensor \"b\": 3 bytes are no 2 Byte"));
  // 2^62 * 8 * 8 is 2^68, which is 16 modulo 2^64.
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F64","shape":[4611686018427387904,8],)"
                      R"("data_offsets":[0,0]}})",
                      0),
              HasSubstr("tensor \"a\": 0 bytes are no 4611686018427387904x8 Double"));
}

TEST(SafetensorsTest, OtherJsonIsRefusedWithItsPlace) {
  EXPECT_THAT(refusal("[1]", 0), HasSubstr("a list where an object is expected"));
  EXPECT_THAT(refusal("{\"a\":", 0), HasSubstr("no JSON at its byte 6"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", 4),
              HasSubstr("tensor \"a\" lacks one of dtype, shape and data_offsets"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
              HasSubstr("a negative number is unexpected as the value of \"shape\""));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1),
              HasSubstr("tensor \"a\": torch has no dtype \"F4\""));
  EXPECT_THAT(refusal(R"({"a":{},"a":{}})", 0), HasSubstr("lacks one of"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"x":"1","x":"2"}})", 0),
              HasSubstr("the key \"x\" is there twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"x":1}})", 0), HasSubstr("a number is unexpected"));
  EXPECT_THAT(bad_sample([] { SafetensorsFile(SharedBytes::of(std::string(64, '\x7f'), "m")); }),
              HasSubstr("its header would have 9187201950435737471 bytes, more than 100000000"));
}

TEST(IdxTest, EveryElementTypeIsRead) {
  for (const Kind& kind : {Kind{"i1", at::kChar}, Kind{"i2", at::kShort}, Kind{"i4", at::kInt},
                           Kind{"f4", at::kFloat}, Kind{"f8", at::kDouble}}) {
    expect_tensor(load_array(recorded(std::string("idx2_") + kind.name)), base().to(kind.type),
                  kind.name);
  }
  expect_tensor(load_array(recorded("images-idx3-ubyte.gz")),
                at::arange(24, at::kByte).view({2, 4, 3}), "gz");
}

TEST(OpenArrayFileTest, MissingNamesAreAnsweredWithThoseThereAre) {
  const std::string npz = recorded("stored.npz");
  EXPECT_EQ(bad_sample([&] { load_array(npz, "image"); }),
            npz +
                ": there is no array `image`; did you mean `images`?; there are `images`, "
                "`labels`, `weights`");
  EXPECT_EQ(bad_sample([&] { load_array(npz); }),
            npz + ": which array is meant has to be said: there are `images`, `labels`, `weights`");
  EXPECT_THAT(bad_sample([] { load_array(recorded("every_dtype.safetensors"), "flaot32"); }),
              HasSubstr("did you mean `float32`?"));
  EXPECT_THAT(bad_sample([] { load_array(recorded("uint8.npy"), "x"); }),
              HasSubstr("the file holds one array without a name"));
  EXPECT_EQ(load_array(recorded("uint8.npy")).numel(), 6);
}

TEST(OpenArrayFileTest, OtherFilesAreRefusedAndMissingOnesAreNoBadSamples) {
  EXPECT_THAT(bad_sample([] { open_array_file(recorded("record.py")); }),
              HasSubstr("record.py: is no file of arrays"));
  for (const char* path : {"/nope/x.npy", "/"}) {
    try {
      open_array_file(path);
      FAIL();
    } catch (const BadSample&) {
      FAIL() << path;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr(path));
    }
  }
}

}  // namespace
}  // namespace lctl
