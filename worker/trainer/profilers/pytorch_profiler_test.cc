// Schedules, traces and tables of LibTorch's Kineto.
#include "worker/trainer/profilers/pytorch_profiler.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/profilers/key_averages.h"
#include "worker/trainer/profilers/module_scope.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsSupersetOf;

fs::path fresh_folder(const std::string& name) {
  const char* root = std::getenv("TEST_TMPDIR");
  fs::path folder = fs::path(root == nullptr ? "/tmp" : root) / name;
  fs::remove_all(folder);
  return folder;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

nlohmann::json trace_of(const fs::path& path) {
  std::ifstream stream(path);
  return nlohmann::json::parse(stream);
}

std::set<std::string> names_in(const nlohmann::json& trace) {
  std::set<std::string> names;
  for (const auto& event : trace.at("traceEvents")) names.insert(event.at("name"));
  return names;
}

ProfiledRun run_of(const fs::path& folder, std::int64_t steps) {
  ProfiledRun run;
  run.stage = "fit";
  run.log_dir = folder.string();
  run.total_steps = [steps](std::string_view) { return steps; };
  return run;
}

constexpr const char* kTrainingStep = "[Strategy]SingleDeviceStrategy.training_step";

void train(Profiler& profiler, int steps) {
  for (int i = 0; i < steps; ++i) {
    const ActionScope batch(&profiler, "run_training_batch");
    const ActionScope step(&profiler, kTrainingStep);
    const ModuleScope layer("torch.nn.Linear: net.0");
    const at::Tensor x = at::ones({4, 4});
    at::mm(x, x);
  }
}

TEST(ProfilerScheduleTest, CyclesAreTorchs) {
  const ProfilerSchedule schedule{
      .wait = 1, .warmup = 1, .active = 2, .repeat = 1, .skip_first = 2};
  const std::vector<ProfilerAction> expected = {
      ProfilerAction::kNone,   ProfilerAction::kNone,   ProfilerAction::kNone,
      ProfilerAction::kWarmup, ProfilerAction::kRecord, ProfilerAction::kRecordAndSave,
      ProfilerAction::kNone};
  for (std::size_t step = 0; step < expected.size(); ++step)
    EXPECT_EQ(schedule.at(static_cast<std::int64_t>(step)), expected[step]) << step;
  EXPECT_EQ((ProfilerSchedule{.active = 1, .skip_first_wait = true}.at(0)),
            ProfilerAction::kWarmup);
  EXPECT_THROW((ProfilerSchedule{.active = 0}.check()), std::invalid_argument);
}

TEST(PyTorchProfilerTest, DefaultScheduleWritesOneTraceOfThreeSteps) {
  const fs::path folder = fresh_folder("default");
  PyTorchProfiler profiler({.filename = "perf"});
  profiler.setup(run_of(folder, 10));
  train(profiler, 10);
  const std::string report = profiler.summary();
  profiler.teardown();

  const std::vector<fs::path> files = files_in(folder);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_THAT(files[0].filename().string(),
              testing::MatchesRegex("fit-perf-\\[Strategy\\]SingleDeviceStrategy\\.training_step"
                                    "\\.[0-9]+\\.pt\\.trace\\.json"));
  const nlohmann::json trace = trace_of(files[0]);
  EXPECT_EQ(trace.at("schemaVersion"), 1);
  EXPECT_EQ(trace.at("Framework"), "pytorch-lightning");
  EXPECT_EQ(trace.at("displayTimeUnit"), "ms");
  const std::set<std::string> names = names_in(trace);
  EXPECT_THAT(names, IsSupersetOf({"ProfilerStep#2", "ProfilerStep#3", "ProfilerStep#4", "aten::mm",
                                   "[pl][profile][Strategy]SingleDeviceStrategy.training_step",
                                   "[pl][profile]run_training_batch",
                                   "[pl][module]torch.nn.Linear: net.0"}));
  EXPECT_EQ(names.count("ProfilerStep#5"), 0U);
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("name") == "ProfilerStep#3") {
      EXPECT_EQ(event.at("ph"), "X");
      EXPECT_EQ(event.at("cat"), "user_annotation");
      EXPECT_GT(event.at("dur").get<double>(), 0);
    }
  }
  EXPECT_THAT(report, testing::StartsWith("FIT Profiler Report\nProfile stats for: records\n---"));
  EXPECT_THAT(report,
              HasSubstr("    Self CPU %      Self CPU   CPU total %     CPU total  CPU time "
                        "avg    # of Calls  \n"));
  EXPECT_THAT(report, HasSubstr("aten::mm"));
  EXPECT_THAT(report, HasSubstr("Self CPU time total: "));
  EXPECT_FALSE(module_names_recorded);
}

TEST(PyTorchProfilerTest, AShortRunIsRecordedToItsEnd) {
  const fs::path folder = fresh_folder("short");
  PyTorchProfiler profiler({.filename = "perf"});
  profiler.setup(run_of(folder, 3));
  train(profiler, 3);
  profiler.describe();
  const std::vector<fs::path> files = files_in(folder);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[1].filename(), "fit-perf.txt");
  EXPECT_THAT(names_in(trace_of(files[0])), IsSupersetOf({"ProfilerStep#1", "ProfilerStep#2"}));
}

// The end of one recording and the start of the next lie inside a batch.
TEST(PyTorchProfilerTest, CyclesFollowEachOtherAndKindsOfStepsCountApart) {
  const fs::path folder = fresh_folder("cycles");
  PyTorchProfiler profiler({.schedule = ProfilerSchedule{.wait = 0, .warmup = 1, .active = 1},
                            .on_trace_ready = tensorboard_trace_handler(folder.string(), "w")});
  profiler.setup(run_of(folder, 10));
  for (int i = 0; i < 4; ++i) {
    train(profiler, 1);
    const ActionScope step(&profiler, "[Strategy]SingleDeviceStrategy.validation_step");
  }
  profiler.describe();
  EXPECT_EQ(files_in(folder).size(), 2U);
}

TEST(PyTorchProfilerTest, ScheduleAllRecordsFromTheFirstActionOn) {
  const fs::path folder = fresh_folder("all");
  PyTorchProfiler profiler({.schedule = ProfilerSchedule::all()});
  profiler.setup(run_of(folder, 2));
  {
    const ActionScope scope(&profiler, "prepare");
  }
  train(profiler, 2);
  profiler.describe();
  const std::vector<fs::path> files = files_in(folder);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_THAT(names_in(trace_of(files[0])), IsSupersetOf({"[pl][profile]prepare"}));
}

TEST(PyTorchProfilerTest, ShapesMemoryAndFlopsHaveColumns) {
  const fs::path folder = fresh_folder("columns");
  PyTorchProfiler profiler({.group_by_input_shapes = true,
                            .row_limit = -1,
                            .record_module_names = false,
                            .on_trace_ready = tensorboard_trace_handler(folder.string(), "w", true),
                            .record_shapes = true,
                            .profile_memory = true,
                            .with_flops = true});
  profiler.setup(run_of(folder, 10));
  train(profiler, 10);
  const std::string report = profiler.summary();
  profiler.teardown();
  EXPECT_THAT(report, HasSubstr("CPU Mem  Self CPU Mem    # of Calls"));
  EXPECT_THAT(report, HasSubstr("Input Shapes"));
  EXPECT_THAT(report, HasSubstr("[[4, 4], [4, 4]]"));
  EXPECT_THAT(report, HasSubstr("Total FLOPs"));
  EXPECT_THAT(report, HasSubstr("384.000")) << "three products of 2 * 4 * 4 * 4";
  const std::vector<fs::path> files = files_in(folder);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].extension(), ".gz");
}

TEST(PyTorchProfilerTest, ARunThatFailsLeavesNothingRecording) {
  const fs::path folder = fresh_folder("failed");
  {
    PyTorchProfiler failed({.schedule = ProfilerSchedule::all()});
    failed.setup(run_of(folder, 10));
    train(failed, 1);
    EXPECT_TRUE(module_names_recorded);
  }
  EXPECT_FALSE(module_names_recorded);
  EXPECT_TRUE(files_in(folder).empty());
  PyTorchProfiler next({.filename = "next"});
  next.setup(run_of(folder, 10));
  train(next, 10);
  next.describe();
  EXPECT_EQ(files_in(folder).size(), 2U);
}

TEST(PyTorchProfilerTest, BadArgumentsAreRefused) {
  try {
    PyTorchProfiler profiler({.sort_by_key = "time"});
    FAIL() << "sorted by time";
  } catch (const MisconfigurationException& error) {
    EXPECT_THAT(error.what(), HasSubstr("Found sort_by_key: time. Should be within {count, "));
  }
  EXPECT_THROW(PyTorchProfiler({.schedule = ProfilerSchedule{.wait = -1}}), std::invalid_argument);
}

// The same numbers as torch 2.11's table() prints for them.
TEST(KeyAveragesTableTest, TextIsTorchs) {
  KeyAverage step;
  step.name = "ProfilerStep*";
  step.count = 2;
  step.cpu_time_total = 4262.0;
  step.self_cpu_time_total = 1076.0;
  KeyAverage add;
  add.name = "[pl][profile][Strategy]SingleDeviceStrategy.validation_step";
  add.count = 4;
  add.cpu_time_total = add.self_cpu_time_total = 3186.5;
  const std::string rule =
      "-------------------------------------------------------  ------------  ------------  "
      "------------  ------------  ------------  ------------  \n";
  EXPECT_EQ(table_of({add, step}, {}),
            rule +
                "                                                   Name    Self CPU %      Self "
                "CPU   CPU total %     CPU total  CPU time avg    # of Calls  \n" +
                rule +
                "                                          ProfilerStep*        25.24%       "
                "1.076ms        99.99%       4.262ms       2.131ms             2  \n"
                "[pl][profile][Strategy]SingleDeviceStrategy.validati...        74.76%       "
                "3.187ms        74.76%       3.187ms     796.625us             4  \n" +
                rule + "Self CPU time total: 4.263ms\n");
}

}  // namespace
}  // namespace lctl
