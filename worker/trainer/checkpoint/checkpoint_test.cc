#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/checkpoint/file.h"
#include "worker/trainer/checkpoint/pickle_reader.h"
#include "worker/trainer/checkpoint/pickle_writer.h"

namespace lctl::checkpoint {
namespace {

using ::testing::HasSubstr;

c10::Storage no_storage(const std::string& /*key*/, std::size_t /*bytes*/) {
  throw std::runtime_error("this pickle has no storages");
}

Value read_bytes(std::string_view bytes) { return unpickle(bytes, no_storage); }

// The message of the PickleError, or "" when the bytes were accepted.
std::string refusal(std::string_view bytes) {
  try {
    read_bytes(bytes);
    return "";
  } catch (const PickleError& error) {
    return error.what();
  }
}

class CheckpointFileTest : public ::testing::Test {
 protected:
  CheckpointFileTest() : dir_(std::filesystem::path(testing::TempDir()) / "checkpoint_test") {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    file_ = dir_ / "a.ckpt";
  }
  std::string bytes() const {
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path dir_;
  std::filesystem::path file_;
};

Value example() {
  Dict state;
  state.ordered = true;
  state.metadata = std::make_shared<Dict>();
  state.metadata->ordered = true;
  Dict version;
  version.set("version", 1);
  state.metadata->set("", Value(version));
  state.set("net.0.weight", at::arange(6, at::kFloat).view({2, 3}));
  state.set("net.0.bias", at::ones({2}, at::kDouble));
  state.set("count", at::zeros({}, at::kLong));
  Dict optimizer;
  optimizer.set(0, Value(Dict{}));
  Dict root;
  root.set("epoch", 3);
  root.set("big", std::int64_t{1} << 40);
  root.set("negative", -5);
  root.set("lr", 0.1);
  root.set("none", None{});
  root.set("flag", true);
  root.set("betas", Tuple{{Value(0.9), Value(0.999)}});
  root.set("list", List{Value("a"), Value(List{})});
  root.set("state_dict", Value(state));
  root.set("optimizer", Value(optimizer));
  return Value(root);
}

TEST_F(CheckpointFileTest, EverythingComesBackAsItWas) {
  write_file(file_, example());
  const Value value = read_file(file_);
  const Dict& root = value.as_dict();
  EXPECT_EQ(root.at("epoch").as_int(), 3);
  EXPECT_EQ(root.at("big").as_int(), std::int64_t{1} << 40);
  EXPECT_EQ(root.at("negative").as_int(), -5);
  EXPECT_EQ(root.at("lr").as_double(), 0.1);
  EXPECT_TRUE(root.at("none").is_none());
  EXPECT_TRUE(root.at("flag").as_bool());
  EXPECT_EQ(root.at("betas").as_tuple().items[1].as_double(), 0.999);
  EXPECT_EQ(root.at("list").as_list()[0].as_string(), "a");
  const Dict& state = root.at("state_dict").as_dict();
  EXPECT_TRUE(state.ordered);
  ASSERT_NE(state.metadata, nullptr);
  EXPECT_EQ(state.metadata->at("").as_dict().at("version").as_int(), 1);
  EXPECT_EQ(state.entries()[0].key.as_string(), "net.0.weight");
  EXPECT_TRUE(state.at("net.0.weight").as_tensor().equal(at::arange(6, at::kFloat).view({2, 3})));
  EXPECT_EQ(state.at("net.0.bias").as_tensor().scalar_type(), at::kDouble);
  EXPECT_EQ(state.at("count").as_tensor().dim(), 0);
  EXPECT_NE(root.at("optimizer").as_dict().find(std::int64_t{0}), nullptr);
}

TEST_F(CheckpointFileTest, SharedStorageIsWrittenOnceAndStaysShared) {
  const at::Tensor whole = at::arange(1000, at::kFloat);
  Dict root;
  root.set("whole", whole);
  root.set("half", whole.slice(0, 500));
  root.set("view", whole.view({10, 100}).t());
  write_file(file_, Value(root));
  EXPECT_LT(std::filesystem::file_size(file_), 2u * 4000u);
  const Value value = read_file(file_);
  const at::Tensor half = value.as_dict().at("half").as_tensor();
  EXPECT_TRUE(half.equal(at::arange(500, 1000, at::kFloat)));
  EXPECT_EQ(half.storage().unsafeGetStorageImpl(),
            value.as_dict().at("whole").as_tensor().storage().unsafeGetStorageImpl());
  EXPECT_TRUE(value.as_dict().at("view").as_tensor().equal(whole.view({10, 100}).t()));
}

TEST_F(CheckpointFileTest, EveryTruncationIsRefusedWithTheFilesName) {
  write_file(file_, example());
  const std::string whole = bytes();
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    try {
      read_file(file_);
      FAIL() << "accepted " << size << " of " << whole.size() << " bytes";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a.ckpt: not a checkpoint: "));
    }
  }
}

TEST_F(CheckpointFileTest, RandomDamageNeverDoesWorseThanAnError) {
  write_file(file_, example());
  const std::string whole = bytes();
  std::mt19937 random(7);  // NOLINT: a fixed seed makes the test repeatable
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << damaged;
    try {
      read_file(file_);  // damage in padding or in a tensor's values cannot all be seen
    } catch (const std::runtime_error&) {
    }
  }
}

TEST_F(CheckpointFileTest, MissingFileIsASystemError) {
  EXPECT_THROW(read_file(dir_ / "nope.ckpt"), std::system_error);
  EXPECT_THROW(read_file(dir_), std::system_error);
}

TEST_F(CheckpointFileTest, FailedWriteLeavesTheOldFileAndNoRubbish) {
  write_file(file_, example());
  const std::string before = bytes();
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  rlimit tiny = limit;
  tiny.rlim_cur = 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tiny), 0);
  EXPECT_THROW(write_file(file_, example()), std::system_error);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_EQ(bytes(), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 1);
}

TEST(PickleTest, IntegersOfAllSizesComeBack) {
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{255}, std::int64_t{256}, std::int64_t{65535},
        std::int64_t{65536}, std::int64_t{-1}, std::int64_t{-2147483648}, std::int64_t{2147483648},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_EQ(read_bytes(pickle(Value(value)).bytes).as_int(), value);
  }
}

TEST(PickleTest, LongIntegersOfAnyLengthAreReadWhileTheyFit) {
  EXPECT_EQ(read_bytes(std::string("\x8a\x02\xff\x7f.", 5)).as_int(), 32767);
  EXPECT_EQ(read_bytes(std::string("\x8a\x01\x80.", 4)).as_int(), -128);
  EXPECT_EQ(read_bytes(std::string("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00.", 12)).as_int(),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_THAT(refusal(std::string("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", 12)),
              HasSubstr("beyond 64 bits"));
}

TEST(PickleTest, LargeDictionariesKeepOrderAndFindKeys) {
  Dict dict;
  for (int i = 0; i < 1000; ++i) dict.set("key" + std::to_string(i), i);
  Dict copy = dict;
  copy.set("extra", 1);
  copy.set("key7", 70);
  EXPECT_EQ(dict.find("extra"), nullptr);
  EXPECT_EQ(dict.at("key7").as_int(), 7);
  EXPECT_EQ(copy.at("key7").as_int(), 70);
  const Value back = read_bytes(pickle(Value(copy)).bytes);
  EXPECT_EQ(back.as_dict().entries()[999].key.as_string(), "key999");
  EXPECT_EQ(back.as_dict().at("extra").as_int(), 1);
  EXPECT_THROW(back.as_dict().at("nope"), std::out_of_range);
}

TEST(PickleTest, CodeIsNeverCalled) {
  // os.system("true"), as a hostile file would have it.
  EXPECT_THAT(refusal("cos\nsystem\n(X\x04\x00\x00\x00trueetR."), testing::Not(""));
  EXPECT_THAT(refusal(std::string("cos\nsystem\n(X\x04\x00\x00\x00truetR.", 24)),
              HasSubstr("os.system is not plain data"));
  EXPECT_THAT(refusal("i."), HasSubstr("0x69 is not part of plain data"));
}

TEST(PickleTest, CyclesAndDeepNestingAreRefused) {
  EXPECT_THAT(refusal(std::string("]q\x00h\x00"
                                  "a.",
                                  7)),
              HasSubstr("contains itself"));
  const std::string deep = std::string(100'000, ']') + std::string(99'999, 'a') + ".";
  EXPECT_THAT(refusal(deep), HasSubstr("nested deeper"));
  const std::string tuples = ")" + std::string(100'000, '\x85') + ".";
  EXPECT_THAT(refusal(tuples), HasSubstr("nested deeper"));
  // Deep rubbish that is dropped before the end is refused too.
  EXPECT_THAT(refusal(")" + std::string(100'000, '\x85') + "0N."), HasSubstr("nested deeper"));
}

TEST(PickleTest, RepetitionIsBounded) {
  std::string bomb = "]X";
  const std::uint32_t size = 1 << 20;
  bomb.append(reinterpret_cast<const char*>(&size), 4);
  bomb += std::string(size, 'x') + std::string("q\x00", 2);
  for (int i = 0; i < 1000; ++i) bomb += std::string("h\x00", 2);
  EXPECT_THAT(refusal(bomb + "."), HasSubstr("repeats itself"));
}

TEST(PickleTest, TensorsMustStayInsideTheirStorage) {
  const auto load = [](const std::string& /*key*/, std::size_t bytes) {
    return at::zeros({static_cast<std::int64_t>(bytes)}, at::kByte).storage();
  };
  Dict root;
  root.set("t", at::zeros({4}, at::kFloat));
  const std::string good = pickle(Value(root)).bytes;
  EXPECT_NO_THROW(unpickle(good, load));
  // Size 4 → 5 of the tensor (the tuple (4,) is K\x04 before the first TUPLE).
  std::string bad = good;
  const std::size_t at = bad.find(std::string("(K\x04t", 4));
  ASSERT_NE(at, std::string::npos);
  bad[at + 2] = 5;
  EXPECT_THROW(unpickle(bad, load), PickleError);
}

TEST(PickleTest, RandomBytesNeverCrash) {
  std::mt19937 random(3);  // NOLINT: a fixed seed makes the test repeatable
  const std::string seed = pickle(example()).bytes;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = seed;
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      unpickle(bytes, [](const std::string& /*key*/, std::size_t size) {
        if (size > 1 << 16) throw PickleError("too large for this test", 0);
        return at::zeros({static_cast<std::int64_t>(size)}, at::kByte).storage();
      });
    } catch (const PickleError&) {
    }
  }
}

}  // namespace
}  // namespace lctl::checkpoint
