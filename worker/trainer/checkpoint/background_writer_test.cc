// What is asked of the writer happens in order, with the values of the moment, or not at all.
#include "worker/trainer/checkpoint/background_writer.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <system_error>

#include "worker/trainer/checkpoint/file.h"

namespace lctl::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class BackgroundWriterTest : public testing::Test {
 protected:
  BackgroundWriterTest()
      : folder_(fs::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  std::string path(const char* name) const { return folder_ / name; }
  static double value_in(const std::string& file) {
    return read_file(file).as_dict().at("w").as_tensor()[0].item<double>();
  }
  // Keeps the writer's thread busy until it is let go.
  void hold(BackgroundWriter& writer) {
    writer.make(path("held"), [held = go_.get_future().share()] { held.wait(); });
  }
  void let_go() { go_.set_value(); }

  const fs::path folder_;
  std::promise<void> go_;
};

TEST_F(BackgroundWriterTest, WritesTheValuesOfTheMoment) {
  at::Tensor w = at::full({1000}, 1.0);
  Dict state;
  state.set("w", w);
  state.set("view", w.slice(0, 10, 20));
  BackgroundWriter writer({});
  hold(writer);
  writer.write(path("a"), state, nullptr, nullptr);
  w.fill_(2.0);
  writer.write(path("b"), state, nullptr, nullptr);
  w.fill_(3.0);
  EXPECT_TRUE(writer.exists(path("a")));
  EXPECT_FALSE(fs::exists(path("a")));
  let_go();
  writer.wait();
  EXPECT_EQ(value_in(path("a")), 1.0);
  EXPECT_EQ(value_in(path("b")), 2.0);
  // Tensors of one storage still are, so the file is no larger than one that is written at once.
  write_file(path("c"), state);
  EXPECT_EQ(fs::file_size(path("b")), fs::file_size(path("c")));
}

TEST_F(BackgroundWriterTest, PinsItsMemoryAsLongAsItIsThere) {
  std::size_t pinned = 0;  // bytes
  {
    BackgroundWriter writer({.pin = [&](void* memory, std::size_t bytes) {
      EXPECT_NE(memory, nullptr);
      pinned += bytes;
      return std::shared_ptr<void>(memory, [&pinned, bytes](void*) { pinned -= bytes; });
    }});
    Dict small;
    small.set("w", at::full({1000}, 1.0));
    writer.write(path("a"), small, nullptr, nullptr);
    writer.wait();
    const std::size_t before = pinned;
    EXPECT_GE(before, 4'000U);
    writer.write(path("a"), small, nullptr, nullptr);
    writer.wait();
    EXPECT_EQ(pinned, before);  // the same memory again
    Dict large;
    large.set("w", at::full({100'000}, 1.0));
    writer.write(path("a"), large, nullptr, nullptr);
    writer.wait();
    EXPECT_GE(pinned, 400'000U);
    EXPECT_LT(pinned, before + 400'000U);  // what was too small is unpinned
  }
  EXPECT_EQ(pinned, 0U);
}

TEST_F(BackgroundWriterTest, EverythingHappensInOrderAndIsToldInOrder) {
  Dict state;
  state.set("w", at::full({3}, 1.0));
  std::vector<std::string> told;
  std::vector<std::string> on_its_thread;
  BackgroundWriter writer({});
  hold(writer);
  writer.write(
      path("a"), state, [&] { on_its_thread.emplace_back("a"); }, [&] { told.emplace_back("a"); });
  writer.make(path("link"), [&] { fs::create_symlink("a", path("link")); });
  writer.write(path("b"), state, nullptr, [&] { told.emplace_back("b"); });
  writer.remove(path("a"), [&] { told.emplace_back("-a"); });
  EXPECT_FALSE(writer.exists(path("a")));
  EXPECT_TRUE(writer.exists(path("link")));
  writer.poll();
  EXPECT_TRUE(told.empty());
  let_go();
  writer.wait();
  EXPECT_THAT(told, ElementsAre("a", "b", "-a"));
  EXPECT_THAT(on_its_thread, ElementsAre("a"));
  EXPECT_FALSE(fs::exists(path("a")));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  fs::remove(path("b"));
  EXPECT_FALSE(writer.exists(path("b")));  // nothing is on its way: the disk tells
}

TEST_F(BackgroundWriterTest, AFailureStopsWhatComesBehindItAndIsThrownOnce) {
  Dict state;
  state.set("w", at::full({3}, 1.0));
  std::ofstream(path("old")) << "old";
  bool told = false;
  BackgroundWriter writer({});
  hold(writer);
  writer.write(path("no/such/folder"), state, nullptr, [&] { told = true; });
  writer.remove(path("old"), [&] { told = true; });
  let_go();
  EXPECT_THROW(writer.wait(), std::system_error);
  EXPECT_TRUE(fs::exists(path("old")));
  EXPECT_FALSE(told);
  writer.write(path("new"), state, nullptr, [&] { told = true; });
  writer.wait();
  EXPECT_TRUE(told);
  EXPECT_TRUE(fs::exists(path("new")));
}

TEST_F(BackgroundWriterTest, AThirdSnapshotWaitsForMemory) {
  at::Tensor w = at::full({5}, 0.0);
  Dict state;
  state.set("w", w);
  BackgroundWriter writer({});
  for (int i = 0; i < 20; ++i) {
    w.fill_(i);
    writer.write(path(std::to_string(i).c_str()), state, nullptr, nullptr);
  }
  writer.wait();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(value_in(path(std::to_string(i).c_str())), i);
}

TEST_F(BackgroundWriterTest, WithoutMemoryOrWhenToldSoItWritesAtOnce) {
  Dict state;
  state.set("w", at::zeros({1000}));
  for (const bool in_background : {false, true}) {
    bool told = false;
    BackgroundWriter writer(
        {.in_background = in_background, .available_memory = [] { return std::int64_t{100}; }});
    writer.expect(4000);
    writer.write(path("a"), state, nullptr, [&] { told = true; });
    EXPECT_TRUE(told);
    EXPECT_TRUE(fs::exists(path("a")));
    told = false;
    writer.remove(path("a"), [&] { told = true; });
    writer.wait();
    EXPECT_TRUE(told);
    EXPECT_FALSE(writer.exists(path("a")));
  }
}

TEST_F(BackgroundWriterTest, TheEndWaits) {
  Dict state;
  state.set("w", at::full({100000}, 1.0));
  {
    BackgroundWriter writer({});
    writer.expect(400000);
    writer.write(path("a"), state, nullptr, nullptr);
  }
  EXPECT_EQ(value_in(path("a")), 1.0);
}

}  // namespace
}  // namespace lctl::checkpoint
