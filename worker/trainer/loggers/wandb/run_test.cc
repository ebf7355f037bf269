#include "worker/trainer/loggers/wandb/run.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/loggers/wandb/artifact.h"
#include "worker/trainer/loggers/wandb/digest.h"
#include "worker/trainer/loggers/wandb/json_text.h"
#include "worker/trainer/loggers/wandb/run_settings.h"
#include "worker/trainer/loggers/wandb/testing/record_reader.h"

namespace lctl::wandb {
namespace {

namespace fs = std::filesystem;
using records::Record;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// A clock that the test moves.
class SetClock final : public Clock {
 public:
  WallTime wall_now() const override { return from_unix_micros(1'700'000'000'250'000) + passed; }
  MonotonicTime monotonic_now() const override { return MonotonicTime(passed); }
  Duration passed{0};
};

// "name" or "name.below" → JSON.
template <typename Items>
std::map<std::string, std::string> texts_of(const Items& items) {
  std::map<std::string, std::string> texts;
  for (const records::Item& item : items) {
    std::string name = item.key();
    for (const std::string& part : item.nested_key()) name += (name.empty() ? "" : ".") + part;
    EXPECT_TRUE(texts.emplace(name, item.value_json()).second) << name << " stands twice";
  }
  return texts;
}

class RunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
    settings_.root = root_.string();
    settings_.id = "abcd1234";
    settings_.project = "proj";
  }

  std::vector<Record> records() const { return records_of(only_run_in(root_)); }

  fs::path root_;
  RunSettings settings_;
  SetClock clock_;
};

TEST_F(RunTest, BeginsWithHeaderRunAndEnvironment) {
  settings_.name = "first try";
  settings_.tags = {"baseline", "v1"};
  settings_.group = "g";
  const wandb::Run run(settings_, clock_);
  const std::vector<Record> all = records();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_THAT(all[0].header().version_info().producer(), MatchesRegex("lctl-[0-9.]+"));
  EXPECT_EQ(all[1].num(), 2);
  EXPECT_EQ(all[1].info().stream_id(), "abcd1234");
  EXPECT_EQ(all[1].run().run_id(), "abcd1234");
  EXPECT_EQ(all[1].run().display_name(), "first try");
  EXPECT_EQ(all[1].run().run_group(), "g");
  EXPECT_THAT(all[1].run().tags(), ElementsAre("baseline", "v1"));
  EXPECT_TRUE(all[1].run().resume());
  EXPECT_EQ(all[1].run().start_time().seconds(), 1'700'000'000);
  EXPECT_EQ(all[1].run().start_time().nanos(), 250'000'000);
  EXPECT_THAT(all[2].environment().executable(), HasSubstr("run_test"));
}

TEST_F(RunTest, TheFolderIsNamedAfterTimeAndIdAndLatestRunPointsToIt) {
  const wandb::Run run(settings_, clock_);
  EXPECT_THAT(run.folder().filename().string(),
              MatchesRegex("offline-run-[0-9]{8}_[0-9]{6}-abcd1234"));
  EXPECT_TRUE(fs::exists(run.folder() / "run-abcd1234.wandb"));
  EXPECT_TRUE(fs::is_directory(run.folder() / "files"));
  EXPECT_EQ(fs::read_symlink(root_ / "wandb" / "latest-run"), run.folder().filename());
}

TEST_F(RunTest, ARestartWithinASecondGetsAFolderOfItsOwn) {
  const wandb::Run first(settings_, clock_);
  const wandb::Run second(settings_, clock_);
  EXPECT_NE(first.folder(), second.folder());
  EXPECT_EQ(first.folder().parent_path(), second.folder().parent_path());
  EXPECT_EQ(fs::read_symlink(root_ / "wandb" / "latest-run"), second.folder().filename());
  EXPECT_EQ(records_of(second.folder() / "run-abcd1234.wandb")[1].run().run_id(), "abcd1234");
}

TEST_F(RunTest, ARowIsASummaryAndAHistory) {
  wandb::Run run(settings_, clock_);
  clock_.passed += std::chrono::milliseconds(1500);
  const std::vector<LoggedMetric> row = {{"train/loss", 0.1f}, {"epoch", std::int64_t{2}}};
  run.log(row);
  run.log(row);
  run.flush();
  const std::vector<Record> all = records();
  ASSERT_EQ(all.size(), 7U);
  const std::map<std::string, std::string> expected = {{"train/loss", "0.10000000149011612"},
                                                       {"epoch", "2"},
                                                       {"_timestamp", "1700000001.75"},
                                                       {"_runtime", "1.5"},
                                                       {"_step", "0"}};
  EXPECT_EQ(texts_of(all[4].history().item()), expected);
  EXPECT_TRUE(all[4].history().has_step());
  EXPECT_EQ(all[6].history().step().num(), 1);
  std::map<std::string, std::string> summary = expected;
  summary["_wandb.runtime"] = "1";
  EXPECT_EQ(texts_of(all[3].summary().update()), summary);
}

TEST_F(RunTest, AHistogramWaitsForTheNextRow) {
  wandb::Run run(settings_, clock_);
  run.add_histogram("gradients/w", {{9}, {0, 1}});
  run.add_histogram("gradients/w", {{1, 2}, {0, 0.5, 1}});
  run.log({});
  run.add_histogram("gradients/w", {{7}, {2, 2}});
  run.finish(0);
  const std::vector<Record> all = records();
  auto row = texts_of(all[4].history().item());
  EXPECT_EQ(row["gradients/w._type"], "\"histogram\"");
  EXPECT_EQ(row["gradients/w.values"], "[1,2]");
  EXPECT_EQ(row["gradients/w.bins"], "[0,0.5,1]");
  row = texts_of(all[6].history().item());
  EXPECT_EQ(row["gradients/w.values"], "[7]") << "what waits at the end is a row of its own";
}

TEST_F(RunTest, ItEndsWithItsRuntimeAndExitCode) {
  {
    wandb::Run run(settings_, clock_);
    clock_.passed += std::chrono::seconds(7);
    run.finish(0);
    run.finish(1);  // it is over
    EXPECT_THROW(run.log({}), std::logic_error);
  }
  const std::vector<Record> all = records();
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(texts_of(all[3].summary().update()),
            (std::map<std::string, std::string>{{"_wandb.runtime", "7"}, {"_runtime", "7"}}));
  EXPECT_EQ(all[4].exit().exit_code(), 0);
  EXPECT_EQ(all[4].exit().runtime(), 7);
}

TEST_F(RunTest, OneThatIsGivenUpHasFailed) {
  {
    const wandb::Run run(settings_, clock_);
  }
  EXPECT_EQ(records().back().exit().exit_code(), 1);
}

TEST_F(RunTest, MetricsAreDefinedAgainstTheStep) {
  wandb::Run run(settings_, clock_);
  run.define_step_metric("trainer/global_step");
  run.flush();
  const std::vector<Record> all = records();
  EXPECT_EQ(all[3].metric().name(), "trainer/global_step");
  EXPECT_TRUE(all[3].metric().options().defined());
  EXPECT_EQ(all[4].metric().name(), "");
  EXPECT_EQ(all[4].metric().glob_name(), "*");
  EXPECT_EQ(all[4].metric().step_metric(), "trainer/global_step");
  EXPECT_TRUE(all[4].metric().options().step_sync());
}

TEST_F(RunTest, ConfigIsJson) {
  wandb::Run run(settings_, clock_);
  checkpoint::Dict below;
  below.set("c", checkpoint::Value());
  checkpoint::Dict config;
  config.set("lr", 0.1);
  config.set("sizes", checkpoint::Tuple{{8, 16}});
  config.set("flag", true);
  config.set("text", "a \"b\" \xff");
  config.set("nested", below);
  config.set("scalar", at::scalar_tensor(2.5));
  config.set("matrix", at::zeros({2, 3}));
  run.update_config(config);
  run.update_config({});
  run.flush();
  const std::vector<Record> all = records();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(texts_of(all[3].config().update()),
            (std::map<std::string, std::string>{{"lr", "0.1"},
                                                {"sizes", "[8,16]"},
                                                {"flag", "true"},
                                                {"text", "\"a \\\"b\\\" \xef\xbf\xbd\""},
                                                {"nested", "{\"c\":null}"},
                                                {"scalar", "2.5"},
                                                {"matrix", "\"tensor of shape [2, 3]\""}}));
}

TEST(JsonTextTest, NumbersAreShortestAndNonFiniteOnesArePythons) {
  EXPECT_EQ(json_of(1.0), "1");
  EXPECT_EQ(json_of(1e-5), "1e-05");
  EXPECT_EQ(json_of(-0.1), "-0.1");
  EXPECT_EQ(json_of(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(json_of(-std::numeric_limits<double>::infinity()), "-Infinity");
}

TEST_F(RunTest, MediaAreFilesNamedByTheirDigest) {
  wandb::Run run(settings_, clock_);
  run.add_media("graph_0", "graph-file", "media/graph/graph_0_summary", ".graph.json", "{}");
  run.flush();
  const std::vector<Record> all = records();
  const std::string path = "media/graph/graph_0_summary_44136fa355b3678a1146.graph.json";
  EXPECT_EQ(all[3].files().files(0).path(), path);
  EXPECT_EQ(bytes_of(run.folder() / "files" / path), "{}");
  EXPECT_EQ(all[4].summary().update(0).key(), "graph_0");
  EXPECT_EQ(all[4].summary().update(0).value_json(),
            "{\"_type\":\"graph-file\",\"sha256\":"
            "\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,"
            "\"path\":\"" +
                path + "\"}");
}

// Digests: hashlib's and wandb.Artifact's of the same file.
TEST_F(RunTest, AnArtifactNamesACopyThatOutlivesItsFile) {
  fs::create_directories(root_);
  const fs::path file = root_ / "epoch=0.ckpt";
  std::ofstream(file) << "hello";
  const StagedFile staged = copied_file(file, root_ / "artifacts" / "model-0.ckpt");
  fs::remove(file);
  EXPECT_EQ(bytes_of(staged.path), "hello");
  const records::Artifact artifact = artifact_of(staged, "model.ckpt");
  EXPECT_EQ(artifact.digest(), hex(digest_of("MD5",
                                             "wandb-artifact-manifest-v1\n"
                                             "model.ckpt:XUFAKrxLKna5cZ2REBfFkg==\n")));
  const records::ManifestEntry& entry = artifact.manifest().contents(0);
  EXPECT_EQ(entry.path(), "model.ckpt");
  EXPECT_EQ(entry.digest(), "XUFAKrxLKna5cZ2REBfFkg==");
  EXPECT_EQ(entry.size(), 5);
  EXPECT_EQ(entry.local_path(), staged.path.string());
  EXPECT_NE(artifact.client_id(), artifact_of(staged, "model.ckpt").client_id());
}

TEST(DigestTest, TextsAndFilesAreDigestedAlike) {
  const fs::path file = fs::path(::testing::TempDir()) / "digested";
  const std::string text(3'000'000, 'x');  // some pieces
  std::ofstream(file) << text;
  EXPECT_EQ(digest_of_file("MD5", file), digest_of("MD5", text));
  EXPECT_EQ(hex(digest_of("MD5", "")), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(base64("ab"), "YWI=");
  EXPECT_THROW(digest_of_file("MD5", file.string() + ".none"), std::system_error);
}

TEST(HistogramTest, HasSixtyFourBinsFromTheLeastToTheGreatest) {
  const Histogram histogram = *histogram_of(at::arange(65, at::kFloat));
  EXPECT_EQ(histogram.counts.size(), 64U);
  EXPECT_EQ(histogram.edges.size(), 65U);
  EXPECT_EQ(histogram.counts.front(), 1);
  EXPECT_EQ(histogram.counts.back(), 2) << "the last bin holds both its edges";
  EXPECT_EQ(histogram.edges.front(), 0);
  EXPECT_EQ(histogram.edges.back(), 64);
}

TEST(HistogramTest, EqualValuesAreOneBin) {
  const Histogram histogram = *histogram_of(at::full({3}, 2.5, at::kBFloat16));
  EXPECT_THAT(histogram.counts, ElementsAre(3));
  EXPECT_THAT(histogram.edges, ElementsAre(2.5, 2.5));
}

TEST(HistogramTest, WhatIsNotFiniteIsLeftOut) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const Histogram histogram = *histogram_of(at::tensor({kNan, 1.0f, kInf, 3.0f, -kInf}));
  EXPECT_EQ(std::accumulate(histogram.counts.begin(), histogram.counts.end(), 0.0), 2);
  EXPECT_FALSE(histogram_of(at::tensor({kNan, kInf})).has_value());
  EXPECT_FALSE(histogram_of(at::empty({0})).has_value());
}

TEST(HistogramTest, ZerosOfASparseTensorCount) {
  at::Tensor dense = at::zeros({100});
  dense[3] = 1.0;
  dense[5] = 3.0;
  const Histogram histogram = *histogram_of(dense.to_sparse());
  EXPECT_EQ(histogram.edges.front(), 0);
  EXPECT_EQ(histogram.counts.front(), 98);
}

EnvironmentLookup environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

TEST(RunSettingsTest, WhatIsNotGivenComesFromTheEnvironment) {
  const EnvironmentLookup lookup = environment({{"WANDB_PROJECT", "p"},
                                                {"WANDB_NAME", "n"},
                                                {"WANDB_TAGS", "a,b"},
                                                {"WANDB_DIR", "/tmp/w"},
                                                {"LCTL_JOB_ID", "job1"}});
  const RunSettings all = settled({.root = ""}, lookup);
  EXPECT_EQ(all.project, "p");
  EXPECT_EQ(all.name, "n");
  EXPECT_EQ(all.root, "/tmp/w");
  EXPECT_EQ(all.id, "job1") << "all attempts of a job are one run";
  EXPECT_THAT(all.tags, ElementsAre("a", "b"));
  const RunSettings given = settled({.root = "r", .id = "i", .project = "mine"}, lookup);
  EXPECT_EQ(given.project, "mine");
  EXPECT_EQ(given.root, "r");
  EXPECT_EQ(given.id, "i");
}

TEST(RunSettingsTest, DefaultsAreLightningsAndAnIdIsNew) {
  const RunSettings one = settled({}, environment({}));
  const RunSettings other = settled({}, environment({}));
  EXPECT_EQ(one.project, "lightning_logs");
  EXPECT_THAT(one.id, MatchesRegex("[a-z2-7]{8}"));
  EXPECT_NE(one.id, other.id);
}

TEST(RunSettingsTest, WhatWandbRefusesIsRefused) {
  const auto message = [](RunSettings settings) -> std::string {
    try {
      settled(std::move(settings), environment({}));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({.id = "a/b"}), HasSubstr("Invalid run ID 'a/b': cannot contain"));
  EXPECT_THAT(message({.id = " a"}), HasSubstr("cannot start or end with whitespace"));
  EXPECT_THAT(message({.id = std::string(200, 'a')}), HasSubstr("exceeded 128 characters"));
  EXPECT_THAT(message({.project = "a:b"}), HasSubstr("Invalid project name 'a:b'"));
  EXPECT_THAT(message({.tags = {""}}), EndsWith("Tags must be between 1 and 64 characters."));
}

TEST(RunSettingsTest, ModesAreThoseOfWandb) {
  EXPECT_FALSE(is_disabled(environment({})));
  EXPECT_FALSE(is_disabled(environment({{"WANDB_MODE", "offline"}})));
  EXPECT_TRUE(is_disabled(environment({{"WANDB_MODE", "disabled"}})));
  EXPECT_THROW(is_disabled(environment({{"WANDB_MODE", "of"}})), std::invalid_argument);
}

}  // namespace
}  // namespace lctl::wandb
