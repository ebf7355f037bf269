// Headers and layouts that no library writes, and all those that it could.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "gmock/gmock.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/array_layout.h"
#include "worker/trainer/data/formats/gzip_for_test.h"
#include "worker/trainer/data/formats/idx.h"
#include "worker/trainer/data/formats/inflate.h"
#include "worker/trainer/data/formats/npy.h"

namespace lctl {
namespace {

using ::testing::HasSubstr;

template <typename Fn>
std::string bad_sample(const Fn& fn) {
  try {
    fn();
    return "";
  } catch (const BadSample& error) {
    return error.what();
  }
}

TEST(SharedBytesTest, PipeIsRefusedWithoutWaitingForAWriter) {
  const std::string path = testing::TempDir() + "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  try {
    SharedBytes::map(path);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("pipe: is a pipe or a device"));
  }
  unlink(path.c_str());
}

std::string npy(const std::string& header, const std::string& data = "") {
  std::string bytes = "\x93NUMPY\x01";
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

std::string npy_refusal(const std::string& bytes) {
  return bad_sample([&] { read_npy(SharedBytes::of(bytes, "a.npy")); });
}

TEST(NpyHeaderTest, IsReadInAnyOrderAndAsPython2WroteIt) {
  const NpyHeader header = parse_npy_header(
      npy("{\"shape\":(3L, 4L),\n 'descr' : '>f8','fortran_order':True}"), "a.npy");
  EXPECT_EQ(header.layout.dtype, at::kDouble);
  EXPECT_TRUE(header.layout.big_endian);
  EXPECT_TRUE(header.layout.fortran_order);
  EXPECT_EQ(header.layout.shape, (std::vector<std::int64_t>{3, 4}));
}

TEST(NpyHeaderTest, DamageIsRefusedWithItsPlace) {
  EXPECT_EQ(npy_refusal("PK"),
            "a.npy: is no .npy file: the first bytes are not \\x93NUMPY (at byte 0)");
  EXPECT_EQ(npy_refusal("\x93NUMPY\x01"), "a.npy: the header is cut off (at byte 7)");
  EXPECT_THAT(npy_refusal(std::string("\x93NUMPY\x04\0\1\1\1\1", 12)),
              HasSubstr("format 4.0 is unknown"));
  EXPECT_THAT(npy_refusal(std::string("\x93NUMPY\x02\0\xff\xff\xff\x7f", 12)),
              HasSubstr("a header of 2147483647 bytes"));
  EXPECT_EQ(npy_refusal(npy("{'descr': '<f4'}")),
            "a.npy: the header lacks one of 'descr', 'fortran_order' and 'shape' (at byte 26)");
  EXPECT_THAT(npy_refusal(npy("{'descr': '<f4', 'descr': '<f4'}")), HasSubstr("there twice"));
  EXPECT_THAT(npy_refusal(npy("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}")),
              HasSubstr("fortran_order is no bool"));
  EXPECT_THAT(
      npy_refusal(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3)}", "12 bytes")),
      HasSubstr("shape is a number, not a tuple"));
  EXPECT_THAT(npy_refusal(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}")),
              HasSubstr("the header's shape is damaged"));
  EXPECT_THAT(npy_refusal(npy("{'descr': '<q9', 'fortran_order': False, 'shape': ()}")),
              HasSubstr("dtype \"<q9\": such an element type is unknown"));
}

TEST(NpyHeaderTest, MoreThanThereIsIsRefusedBeforeMemoryIsAskedFor) {
  EXPECT_EQ(npy_refusal(
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", "12 bytes are")),
            "a.npy: an array of 3x2 Float has 24 bytes, but 12 are there: the file is cut off");
  EXPECT_THAT(npy_refusal(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (99999999999,)}")),
              HasSubstr("an array of 99999999999 Float has 399999999996 bytes, but 0 are there"));
  EXPECT_THAT(npy_refusal(npy(
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}")),
              HasSubstr("is impossible"));
  EXPECT_THAT(
      npy_refusal(
          npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 4)}")),
      HasSubstr("is impossible"));
}

TEST(ArrayLayoutTest, OtherNumbersInABoolArrayAreRefused) {
  EXPECT_THAT(
      npy_refusal(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", {1, 0, 2})),
      HasSubstr("a.npy: element 2 of a bool array is 2, neither 0 nor 1"));
}

TEST(ArrayLayoutTest, NumbersAtOddAddressesAreCopied) {
  const SharedBytes bytes = SharedBytes::allocate(9, "odd");
  std::fill(bytes.data(), bytes.data() + 9, '\0');
  bytes.data()[5] = 1;
  const at::Tensor odd = tensor_over(bytes.part(1, 8, "odd"), {.dtype = at::kInt, .shape = {2}});
  EXPECT_NE(odd.data_ptr(), bytes.data() + 1);
  EXPECT_EQ(odd[1].item<std::int32_t>(), 1);
  const at::Tensor even = tensor_over(bytes, {.dtype = at::kInt, .shape = {2}});
  EXPECT_EQ(even.data_ptr(), bytes.data());
}

// All that numpy.save could write of int32: the same values in every order of bytes and dimensions.
RC_GTEST_PROP(NpyTest, ElementsAreWhereNumpyPutsThem, ()) {
  const auto shape = *rc::gen::resize(
      4, rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 5)));
  const bool fortran = *rc::gen::arbitrary<bool>();
  const bool big = *rc::gen::arbitrary<bool>();
  const std::int64_t count =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  std::string data;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<std::uint32_t>(i * 0x01010101);
    for (int byte = 0; byte < 4; ++byte)
      data += static_cast<char>(value >> 8 * (big ? 3 - byte : byte));
  }
  const std::string header =
      fmt::format("{{'descr': '{}i4', 'fortran_order': {}, 'shape': ({}{}), }}\n", big ? '>' : '<',
                  fortran ? "True" : "False", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const at::Tensor array = read_npy(SharedBytes::of(npy(header, data), "a.npy"));
  RC_ASSERT(array.sizes() == at::IntArrayRef(shape));
  // In Fortran's order, the transposed array is in C's.
  std::vector<std::int64_t> reversed(shape.size());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const at::Tensor in_file_order = (fortran ? array.permute(reversed) : array).contiguous();
  const auto* values = in_file_order.const_data_ptr<std::int32_t>();
  for (std::int64_t i = 0; i < count; ++i)
    RC_ASSERT(values[i] == static_cast<std::int32_t>(static_cast<std::uint32_t>(i * 0x01010101)));
}

std::string idx_refusal(const std::string& bytes) {
  return bad_sample([&] { read_idx(SharedBytes::of(bytes, "t-idx3")); });
}

TEST(IdxTest, LengthMustBeWhatTheHeaderSays) {
  const std::string header("\0\0\x08\x01\0\0\0\x03", 8);
  EXPECT_EQ(idx_refusal(header + "abc"), "");
  EXPECT_EQ(idx_refusal(gzipped(header + "abc")), "");
  for (const bool packed : {false, true}) {
    const auto refusal = [&](const std::string& bytes) {
      return idx_refusal(packed ? gzipped(bytes) : bytes);
    };
    EXPECT_THAT(refusal(header + "ab"), HasSubstr("3 Byte has 3 bytes, but 2 are there"));
    EXPECT_THAT(refusal(header + "abcd"), HasSubstr("follow"));
    EXPECT_THAT(refusal(header.substr(0, 6)), HasSubstr("is cut off in its header: 6 bytes of 8"));
    EXPECT_THAT(refusal("nothing"), HasSubstr("is no IDX file"));
  }
  EXPECT_THAT(idx_refusal(gzipped(std::string("\0\0\x08\x01\x7f\xff\xff\xff", 8) + "abc")),
              HasSubstr("compressed bytes cannot become the 2147483647 Byte"));
}

TEST(GzipReaderTest, StreamsBehindEachOtherAreOneAndDamageIsNoticed) {
  const auto all = [](std::string packed) {
    GzipReader reader(SharedBytes::of(std::move(packed), "a.gz"));
    std::string text(1000, '\0');
    text.resize(reader.read(text.data(), text.size()));
    return text;
  };
  const std::string one = gzipped("first ");
  const std::string two = gzipped(std::string(500, 'x'));
  EXPECT_EQ(all(one + two), "first " + std::string(500, 'x'));
  EXPECT_EQ(all(one + std::string(512, '\0')), "first ");
  EXPECT_THAT(bad_sample([&] { all(one.substr(0, one.size() - 3)); }),
              HasSubstr("a.gz: the compressed data is cut off"));
  std::string wrong = one;
  wrong[one.size() - 6] ^= 1;  // of the checksum
  EXPECT_THAT(bad_sample([&] { all(wrong); }), HasSubstr("the compressed data is damaged"));
}

TEST(InflateTest, NoMoreAndNoLessThanWasPromised) {
  const std::string packed = gzipped(std::string(5000, 'x'));
  // Raw deflate lies between gzip's header of 10 bytes and its trailer of 8.
  const SharedBytes raw = SharedBytes::of(packed.substr(10, packed.size() - 18), "m");
  const auto crc = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(std::string(5000, 'x').data()), 5000));
  EXPECT_EQ(inflate_exactly(raw, 5000, crc).view(), std::string(5000, 'x'));
  EXPECT_THAT(bad_sample([&] { inflate_exactly(raw, 4999, crc); }),
              HasSubstr("m: inflates to more"));
  EXPECT_THAT(bad_sample([&] { inflate_exactly(raw, 5001, crc); }),
              HasSubstr("inflates to 5000 bytes, not the 5001"));
  EXPECT_THAT(bad_sample([&] { inflate_exactly(raw, 5000, crc + 1); }), HasSubstr("CRC-32"));
  EXPECT_THAT(bad_sample([&] { inflate_exactly(raw, 1ULL << 40, crc); }),
              HasSubstr("cannot become the 1099511627776"));
  EXPECT_THAT(bad_sample([&] { inflate_exactly(raw.part(0, raw.size() - 2, "m"), 5000, crc); }),
              HasSubstr("cut off"));
}

}  // namespace
}  // namespace lctl
