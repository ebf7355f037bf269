// lctl admin export against the fake server: which files it leaves, and when it does nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::HasSubstr;

class ExportTest : public ProgramTest {
 protected:
  ExportTest() {
    std::string name = std::string(getenv("TEST_TMPDIR")) + "/export-XXXXXX";
    dir_ = mkdtemp(name.data());
    v1::Job job = make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_SUCCEEDED);
    job.mutable_spec()->set_config_yaml("trainer: {max_epochs: 3}\n");
    server_.put_job(job);
    v1::Attempt attempt;
    attempt.set_number(1);
    attempt.add_ranks();
    server_.put_attempt("aaaaaaaaaa", attempt);
    server_.put_log("aaaaaaaaaa", 1, 0, "hello\n");
    server_.put_log("aaaaaaaaaa", 1, 0, "oh\n", /*error_stream=*/true);
    put_point(0, 0.1);
    put_point(3'000'000, std::nan(""));
    put_checkpoint("newckpt", "epoch=1.ckpt", "weights");
  }

  void put_point(std::int64_t step, double value) {
    v1::MetricPoint point;
    point.set_step(step);
    point.set_time_us(1'500'000);
    point.set_value(value);
    server_.put_point("aaaaaaaaaa", "loss, total", point);
  }
  void put_checkpoint(const std::string& id, const std::string& name, const std::string& content) {
    v1::Checkpoint checkpoint;
    checkpoint.set_id(id);
    checkpoint.set_job_id("aaaaaaaaaa");
    checkpoint.mutable_written()->set_name("checkpoints/" + name);
    server_.put_checkpoint(checkpoint, content);
  }
  static std::string text(const fs::path& file) {
    std::ostringstream out;
    out << std::ifstream(file).rdbuf();
    return out.str();
  }
  fs::path job_dir() const { return dir_ / "digits-mlp-aaaaaaaaaa"; }

  fs::path dir_;
};

TEST_F(ExportTest, JobBecomesFiles) {
  const Outcome outcome = run({"admin", "export", "digits-mlp", dir_.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            job_dir().string() + "  2 points, 9 B of logs, one new checkpoint (7 B)\n");
  EXPECT_EQ(text(job_dir() / "job.yaml"), "trainer: {max_epochs: 3}\n");
  EXPECT_EQ(text(job_dir() / "hparams.yaml"), "hidden: 32\n");
  EXPECT_EQ(text(job_dir() / "metrics.csv"),
            "key,step,epoch,time,value\n"
            "\"loss, total\",0,0,1.500000,0.1\n"
            "\"loss, total\",3000000,0,1.500000,nan\n");
  EXPECT_EQ(text(job_dir() / "logs/attempt-1/rank-0.stdout.txt"), "hello\n");
  EXPECT_EQ(text(job_dir() / "logs/attempt-1/rank-0.stderr.txt"), "oh\n");
  EXPECT_EQ(text(job_dir() / "checkpoints/epoch=1.ckpt"), "weights");
  EXPECT_EQ(json::parse(text(job_dir() / "status.json"))["id"], "aaaaaaaaaa");
  for (const auto& entry : fs::recursive_directory_iterator(dir_)) {
    EXPECT_NE(entry.path().extension(), ".part") << entry.path();
  }
}

TEST_F(ExportTest, UnchangedJobIsLeftAloneAndANewCheckpointAloneIsFetched) {
  ASSERT_EQ(run({"admin", "export", "@last", dir_.string()}).code, 0);
  EXPECT_EQ(server_.calls("Download"), 1);
  const Outcome again = run({"admin", "export", "--all", dir_.string()});
  EXPECT_EQ(again.out, job_dir().string() + "  unchanged\n");
  put_checkpoint("newer", "epoch=1.ckpt", "others");
  const json rows = json::parse(run({"admin", "export", "--all", dir_.string(), "--json"}).out);
  ASSERT_EQ(rows.size(), 1u);
  // The newer one has the name now; the older one is kept beside it.
  EXPECT_EQ(text(job_dir() / "checkpoints/epoch=1.ckpt"), "others");
  EXPECT_EQ(text(job_dir() / "checkpoints/newckpt-epoch=1.ckpt"), "weights");
  EXPECT_EQ(rows[0]["checkpoints"], 2);
}

TEST_F(ExportTest, DamagedDownloadIsNoFileAndTheExportIsNotWhole) {
  server_.corrupt_downloads();
  EXPECT_EQ(run({"admin", "export", "@last", dir_.string()}).code, 1);
  EXPECT_FALSE(fs::exists(job_dir() / "checkpoints/epoch=1.ckpt"));
  EXPECT_FALSE(fs::exists(job_dir() / "export.json"));
}

TEST_F(ExportTest, WithoutCheckpointsNoneIsFetched) {
  ASSERT_EQ(run({"admin", "export", "@last", dir_.string(), "--without-checkpoints"}).code, 0);
  EXPECT_EQ(server_.calls("Download"), 0);
  EXPECT_TRUE(fs::exists(job_dir() / "export.json"));
}

TEST_F(ExportTest, WhatIsMeantMustBeClear) {
  EXPECT_EQ(run({"admin", "export", dir_.string()}).code, 2);
  EXPECT_EQ(run({"admin", "export"}).code, 2);
  EXPECT_EQ(run({"admin", "export", "--all"}).code, 2);
  EXPECT_EQ(run({"admin", "export", "--all", "@last", dir_.string()}).code, 2);
  EXPECT_EQ(run({"admin", "export", "nobody", dir_.string()}).code, 1);
}

}  // namespace
}  // namespace lctl::cli
