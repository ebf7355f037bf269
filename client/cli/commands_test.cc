// Every command but submit against the fake server: what it prints, and its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "client/cli/terminal/text.h"
#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CommandsTest : public ProgramTest {
 protected:
  CommandsTest() {
    server_.put_job(make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_SUCCEEDED));
    v1::Job waiting = make_job("bbbbbbbbbb", "wide", v1::JOB_STATE_QUEUED);
    waiting.set_reason("waiting: needs 8 GPUs on one node, the largest free is 4 of worker-12");
    waiting.set_started_us(0);
    waiting.mutable_progress()->Clear();
    waiting.mutable_spec()->set_experiment("big");
    server_.put_job(waiting);
  }

  void put_point(std::int64_t step, double value) {
    v1::MetricPoint point;
    point.set_step(step);
    point.set_epoch(step / 2);
    point.set_time_us(FakeClock::kNow + step);
    point.set_value(value);
    point.set_attempt(1);
    server_.put_point("aaaaaaaaaa", "train/loss", point);
  }

  void put_checkpoint(const std::string& id, bool best, const std::string& content) {
    v1::Checkpoint checkpoint;
    checkpoint.set_id(id);
    checkpoint.set_job_id("aaaaaaaaaa");
    checkpoint.mutable_written()->set_global_step(300);
    checkpoint.mutable_written()->set_kind(v1::CHECKPOINT_KIND_MODEL);
    checkpoint.mutable_written()->set_name("logs/../checkpoints/" + id + ".ckpt");
    checkpoint.mutable_written()->set_monitor("val/loss");
    checkpoint.mutable_written()->set_score(0.25);
    checkpoint.mutable_written()->set_is_best(best);
    server_.put_checkpoint(checkpoint, content);
  }
};

TEST_F(CommandsTest, ListIsATableWithinEightyColumns) {
  const Outcome result = run({"list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            "ID          NAME        EXPERIMENT  STATE       STEP    TIME  REASON\n"
            "bbbbbbbbbb  wide        big         QUEUED         0       -  waiting: needs 8 …\n"
            "aaaaaaaaaa  digits-mlp  digits      SUCCEEDED  1,214  1m 30s\n");
}

TEST_F(CommandsTest, ListAsJsonHasItsFixedKeysNewestFirst) {
  const json jobs = json::parse(run({"list", "--json"}).out);
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0]["id"], "bbbbbbbbbb");
  EXPECT_EQ(jobs[1]["name"], "digits-mlp");
  for (const char* key : {"id", "name", "experiment", "state", "attempt", "step", "reason"}) {
    EXPECT_TRUE(jobs[0].contains(key)) << key;
  }
  EXPECT_EQ(jobs[1]["step"], 1214);
  EXPECT_EQ(jobs[1]["state"], "SUCCEEDED");
  EXPECT_EQ(jobs[0]["started"], nullptr);
  EXPECT_EQ(jobs[1]["started"], 1'699'999'910.0);
}

TEST_F(CommandsTest, ListFilters) {
  EXPECT_THAT(run({"list", "--experiment", "big"}).out, Not(HasSubstr("aaaaaaaaaa")));
  EXPECT_THAT(run({"list", "--state", "succeeded"}).out, Not(HasSubstr("bbbbbbbbbb")));
  EXPECT_EQ(run({"list", "-s", "failed"}).out, "No job matches.\n");
  const Outcome wrong = run({"list", "--state", "done"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("there is no state `done`; known: QUEUED STARTING"));
}

TEST_F(CommandsTest, StatusTellsWhyInFull) {
  const Outcome result = run({"status", "wide"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, StartsWith("job         wide (bbbbbbbbbb)\n"));
  EXPECT_THAT(result.out,
              HasSubstr("why         waiting: needs 8 GPUs on one node, the largest free is 4 of\n"
                        "            worker-12\n"));
  EXPECT_THAT(result.out, HasSubstr("resources   one node × 2 devices\n"));
}

TEST_F(CommandsTest, StatusShowsOnDemandHowTrainingIsFed) {
  v1::Job job = make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_RUNNING);
  v1::DataLoading* loading = job.mutable_progress()->mutable_data_loading();
  loading->set_workers(8);
  loading->set_tuned(true);
  loading->set_waited_seconds(1.5);
  loading->set_total_seconds(60);
  loading->set_bytes_ahead(3 << 20);
  loading->set_skipped_samples(2);
  v1::WorkerChange* change = loading->add_changes();
  change->set_time_us(FakeClock::kNow);
  change->set_before(4);
  change->set_after(8);
  change->set_reason("training waits for data 40% of the time");
  server_.put_job(job);
  EXPECT_THAT(run({"status", "aaa"}).out, Not(HasSubstr("data from")));
  const std::string text = run({"status", "aaa", "--verbose"}).out;
  EXPECT_THAT(text, HasSubstr("data from  8 workers, found by measuring (num_workers: auto)\n"));
  EXPECT_THAT(text, HasSubstr("waited     2.5% of the time for batches\n"));
  EXPECT_THAT(text, HasSubstr("skipped    2 bad samples\n"));
  EXPECT_THAT(text, HasSubstr("4 to 8  training waits for data 40% of the time\n"));
  const json one = json::parse(run({"status", "aaa", "--json"}).out);
  EXPECT_EQ(one["data_loading"]["changes"][0]["after"], 8);
  EXPECT_EQ(one["data_loading"]["skipped_samples"], 2);
}

TEST_F(CommandsTest, StatusShowsOnDemandWhatTheRanksRunOn) {
  server_.put_job(make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_RUNNING));
  v1::SharedEnvironment shared;
  for (const int rank : {0, 1, 2, 5}) shared.add_ranks(rank);
  v1::RankEnvironment& environment = *shared.mutable_environment();
  environment.set_host("gpu-1");
  environment.set_device("NVIDIA H200");
  environment.set_cpu("AMD EPYC 9654");
  environment.set_cpus(16);
  environment.set_memory_bytes(std::int64_t{128} << 30);
  (*environment.mutable_versions())["libtorch"] = "2.9.0";
  server_.put_environment("aaaaaaaaaa", shared);
  EXPECT_THAT(run({"status", "aaa"}).out, Not(HasSubstr("H200")));
  const std::string text = run({"status", "aaa", "--verbose"}).out;
  EXPECT_THAT(text, HasSubstr("ranks     0-2, 5\n"));
  EXPECT_THAT(text, HasSubstr("device    NVIDIA H200\n"));
  EXPECT_THAT(text, HasSubstr("cpu       16 cores of AMD EPYC 9654\n"));
  EXPECT_THAT(text, HasSubstr("libtorch  2.9.0\n"));
  const json one = json::parse(run({"status", "aaa", "--json"}).out);
  EXPECT_EQ(one["environments"][0]["ranks"], json::array({0, 1, 2, 5}));
  EXPECT_EQ(one["environments"][0]["versions"]["libtorch"], "2.9.0");
}

TEST_F(CommandsTest, StatusShowsAttemptsRanksMetricsAndCheckpoints) {
  v1::Job job = make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_FAILED);
  v1::RankStatus* rank = job.add_ranks();
  rank->set_rank(1);
  rank->set_node_name("worker-2");
  rank->set_device_kind("cpu");
  rank->set_pid(4242);
  rank->set_state(v1::RANK_STATE_DRAINED);
  rank->set_exit_code(1);
  rank->set_message("out of memory");
  server_.put_job(job);
  v1::Attempt attempt;
  attempt.set_number(1);
  attempt.set_started_us(FakeClock::kNow - 90'000'000);
  attempt.set_finished_us(FakeClock::kNow - 30'000'000);
  attempt.set_outcome("failed");
  attempt.set_reason("rank 1: out of memory");
  attempt.set_cause(v1::END_CAUSE_PROGRAM);
  attempt.set_culprit(1);
  attempt.add_last_lines("step 41");
  attempt.add_last_lines("RuntimeError: out of memory");
  server_.put_attempt("aaaaaaaaaa", attempt);
  put_point(1, 0.5);
  put_checkpoint("ckptaaaaaaaa", true, "bytes");
  const std::string text = run({"status", "aaa"}).out;
  EXPECT_THAT(text, HasSubstr("failed   rank 1: out of memory"));
  EXPECT_THAT(text, HasSubstr("\nLast output of rank 1, attempt 1:\n"
                              "  step 41\n  RuntimeError: out of memory\n"));
  EXPECT_THAT(text, HasSubstr("   1  worker-2  cpu:0   4242  DRAINED     1  out of memory"));
  EXPECT_THAT(text, HasSubstr("train/loss   0.5  0.5  0.5     1"));
  EXPECT_THAT(text, HasSubstr("ckptaaaaaaaa   300  model   5 B  ckptaaaaaaaa.ckpt"));
  const json all = json::parse(run({"status", "@last", "--json"}).out);
  EXPECT_EQ(all["id"], "bbbbbbbbbb");
  const json one = json::parse(run({"status", "aaa", "--json"}).out);
  EXPECT_EQ(one["ranks"][0]["node"], "worker-2");
  EXPECT_EQ(one["ranks"][0]["exit_code"], 1);
  EXPECT_EQ(one["attempts"][0]["outcome"], "failed");
  EXPECT_EQ(one["attempts"][0]["cause"], "program");
  EXPECT_EQ(one["attempts"][0]["culprit"], 1);
  EXPECT_EQ(one["attempts"][0]["last_lines"][0], "step 41");
  EXPECT_EQ(one["checkpoints"][0]["id"], "ckptaaaaaaaa");
}

TEST_F(CommandsTest, StatusWithoutAJobIsAnOverview) {
  v1::Node node;
  node.set_name("worker-1");
  node.set_state(v1::NODE_STATE_READY);
  node.add_devices();
  server_.put_node(node);
  const Outcome result = run({"status"});
  EXPECT_THAT(result.out, HasSubstr("nodes   1 of 1 ready, 0 of 1 devices in use\n"));
  EXPECT_THAT(result.out, HasSubstr("jobs    1 QUEUED, 1 SUCCEEDED\n"));
  const json all = json::parse(run({"status", "--json"}).out);
  EXPECT_EQ(all["jobs"]["QUEUED"], 1);
  EXPECT_EQ(all["nodes"][0]["name"], "worker-1");
  EXPECT_EQ(run({"status", "--follow"}).code, 2);
}

TEST_F(CommandsTest, UnknownJobIsAnErrorOfOne) {
  for (const char* command : {"status", "stop", "resume", "stacks", "logs", "metrics"}) {
    const Outcome result = run({command, "nothing"});
    EXPECT_EQ(result.code, 1) << command;
    EXPECT_EQ(result.err, "lctl: there is no job `nothing`\n") << command;
  }
}

TEST_F(CommandsTest, UnreachableServerIsThree) {
  server_.shut_down();
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"list"}, {"status"}, {"nodes"}, {"stop", "x"}, {"logs", "x"}, {"metrics", "x"}}) {
    const Outcome result = run(command);
    EXPECT_EQ(result.code, 3) << command[0];
    EXPECT_THAT(result.err, HasSubstr("set --server / LCTL_SERVER")) << command[0];
  }
}

TEST_F(CommandsTest, ServerOptionWinsOverTheVariable) {
  variables_["LCTL_SERVER"] = "127.0.0.1:1";
  EXPECT_EQ(run({"--server", server_.address(), "list"}).code, 0);
  EXPECT_EQ(run({"list", "--server", server_.address()}).code, 0);
  EXPECT_EQ(run({"list"}).code, 3);
  EXPECT_EQ(run({"list", "--server", "nonsense"}).code, 2);
}

TEST_F(CommandsTest, MetricsOfOneKeyAsJsonArePointsInStepOrder) {
  put_point(0, 2.5);
  put_point(1, std::nan(""));
  put_point(2, std::numeric_limits<double>::infinity());
  EXPECT_EQ(run({"metrics", "digits-mlp", "train/loss", "--json"}).out,
            "[\n"
            "{\"step\":0,\"epoch\":0,\"time\":1700000000.0,\"value\":2.5},\n"
            "{\"step\":1,\"epoch\":0,\"time\":1700000000.000001,\"value\":\"NaN\"},\n"
            "{\"step\":2,\"epoch\":1,\"time\":1700000000.000002,\"value\":\"Infinity\"}\n"
            "]\n");
}

TEST_F(CommandsTest, MetricsWithoutAKeyAreSummaries) {
  EXPECT_EQ(run({"metrics", "digits-mlp"}).out, "No metrics yet.\n");
  EXPECT_EQ(run({"metrics", "digits-mlp", "--json"}).out, "[]\n");
  put_point(0, 2.5);
  put_point(1, 1.5);
  EXPECT_EQ(run({"metrics", "digits-mlp"}).out,
            "KEY         POINTS  LAST  STEP  MIN  MAX\n"
            "train/loss       2   1.5     1  1.5  2.5\n");
}

TEST_F(CommandsTest, MetricsPlotHasTheExtremesAtItsSide) {
  for (int step = 0; step < 30; ++step) put_point(step, 3.0 / (1 + step));
  const Outcome result = run({"metrics", "digits-mlp", "train/loss", "--plot", "--height", "5"});
  EXPECT_THAT(result.out, StartsWith("train/loss  0.1 at step 29\n  3 ┤"));
  EXPECT_THAT(result.out, HasSubstr("\n0.1 ┤"));
}

TEST_F(CommandsTest, MetricsTailIsCountedAndMisspeltKeysAreHelped) {
  for (int step = 0; step < 30; ++step) put_point(step, step);
  EXPECT_THAT(run({"metrics", "digits-mlp", "train/loss"}).out,
              EndsWith("the last 20 of 30 points; --tail 0 shows all\n"));
  EXPECT_THAT(run({"metrics", "digits-mlp", "train/loss", "-n", "0"}).out, HasSubstr("\n   0  "));
  const Outcome wrong = run({"metrics", "digits-mlp", "train/los"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("has no metric `train/los`; did you mean `train/loss`?"));
}

TEST_F(CommandsTest, LogsNameTheRankAndKeepTheirOrder) {
  server_.put_log("aaaaaaaaaa", 1, 0, "zero one\nzero two\n");
  server_.put_log("aaaaaaaaaa", 1, 1, "one one\nopen end");
  EXPECT_EQ(run({"logs", "digits-mlp"}).out,
            "[rank 0] zero one\n[rank 0] zero two\n[rank 1] one one\n[rank 1] open end\n");
  EXPECT_EQ(run({"logs", "digits-mlp", "--rank", "0"}).out, "zero one\nzero two\n");
  EXPECT_EQ(run({"logs", "digits-mlp", "--rank", "0", "--tail", "1"}).out, "zero two\n");
  EXPECT_EQ(run({"logs", "digits-mlp", "--rank", "0", "--tail", "1", "-f"}).out, "zero two\n");
  EXPECT_EQ(run({"logs", "digits-mlp", "--rank", "9"}).err,
            "No output of such a rank or attempt.\n");
}

TEST_F(CommandsTest, StopSaysWhatHappensNext) {
  server_.put_job(make_job("cccccccccc", "running", v1::JOB_STATE_RUNNING));
  const Outcome result = run({"stop", "running", "--reason", "enough", "--grace", "2.5"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            "STOPPING  running (cccccccccc): enough\n"
            "Its ranks write a last checkpoint and end.\n"
            "Go on with it: lctl resume cccccccccc\n");
  EXPECT_EQ(server_.stops().back().grace_ms(), 2500);
  run({"stop", "running", "--now"});
  EXPECT_EQ(server_.stops().back().grace_ms(), -1);
  EXPECT_EQ(run({"stop", "digits-mlp"}).code, 1);  // has ended
}

TEST_F(CommandsTest, ResumeQueuesAgain) {
  server_.put_job(make_job("cccccccccc", "halted", v1::JOB_STATE_STOPPED));
  const Outcome result = run({"resume", "halted"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, StartsWith("Queued again: halted (cccccccccc)\n"));
  const Outcome again = run({"resume", "halted"});
  EXPECT_EQ(again.code, 1);
}

TEST_F(CommandsTest, StacksAreAskedForAndTheirPlaceIsSaid) {
  v1::Job job = make_job("cccccccccc", "running", v1::JOB_STATE_RUNNING);
  job.set_attempt(2);
  server_.put_job(job);
  const Outcome result = run({"stacks", "running"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            "Asked the ranks of running (cccccccccc) for their stacks. They are in its log in a "
            "moment:\n"
            "lctl logs cccccccccc --attempt 2 --tail 200\n");
  EXPECT_EQ(json::parse(run({"stacks", "running", "--json"}).out)["id"], "cccccccccc");
  EXPECT_EQ(run({"stacks", "digits-mlp"}).code, 1);  // has ended
}

TEST_F(CommandsTest, NodesShowDevicesAndSilence) {
  v1::Node node;
  node.set_name("worker-1");
  node.set_state(v1::NODE_STATE_SUSPECT);
  for (int i = 0; i < 2; ++i) node.add_devices()->set_name("cpu slot");
  node.mutable_devices(1)->set_index(1);
  node.mutable_devices(1)->set_fault("too hot");
  node.set_devices_in_use(1);
  node.set_cpus(2);
  node.set_memory_bytes(8LL << 30);
  node.set_load_1m(0.5);
  node.set_last_seen_us(FakeClock::kNow - 4'000'000);
  server_.put_node(node);
  EXPECT_EQ(run({"nodes"}).out,
            "NAME      STATE    USED  CORES   MEMORY  LOAD  SEEN  DEVICES\n"
            "worker-1  SUSPECT   1/2      2  8.0 GiB   0.5  4.0s  2 cpu slot\n"
            "CPU slot 1 of worker-1 is not used: too hot\n");
  const json shown = json::parse(run({"nodes", "--json"}).out)[0]["devices"];
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0]["fault"], "");
  EXPECT_EQ(shown[1]["fault"], "too hot");
}

TEST_F(CommandsTest, NodeIsDrainedWaitedForAndPutBack) {
  v1::Node node;
  node.set_id("n1");
  node.set_name("gpu-3");
  node.set_state(v1::NODE_STATE_READY);
  node.add_job_ids("aaaaaaaaaa");
  server_.put_node(node);
  EXPECT_EQ(run({"nodes", "drain", "gpu-3", "--reason", "new disk", "--grace", "60"}).out,
            "DRAINING  gpu-3\n"
            "Its jobs write a checkpoint and go on elsewhere: 1 left.\n"
            "Back into use: lctl nodes undrain gpu-3\n");
  EXPECT_EQ(server_.drains().at(0).grace_ms(), 60'000);
  EXPECT_THAT(run({"nodes"}).out, HasSubstr("gpu-3 is drained since 2023-11-14"));
  EXPECT_EQ(run({"nodes", "drain", "gpu-3", "--wait"}).out,
            "DRAINED  gpu-3\nBack into use: lctl nodes undrain gpu-3\n");
  const json drained = json::parse(run({"nodes", "drain", "gpu-3", "--json"}).out);
  EXPECT_EQ(drained["drained"], 1'700'000'000);
  EXPECT_EQ(run({"nodes", "undrain", "gpu-3"}).out, "READY  gpu-3\n");
  EXPECT_EQ(json::parse(run({"nodes", "--json"}).out)[0]["drained"], nullptr);
  EXPECT_THAT(run({"nodes", "drain", "gpu-4"}).err, HasSubstr("there is no node 'gpu-4'"));
  EXPECT_EQ(run({"nodes", "drain"}).code, 2);
}

TEST_F(CommandsTest, NoNodesSaysHowToStartOne) {
  EXPECT_THAT(run({"nodes"}).out, HasSubstr("lctl-worker --server " + server_.address()));
  EXPECT_EQ(run({"nodes", "--json"}).out, "[]\n");
}

TEST_F(CommandsTest, CheckpointsAreListedWithTheirScore) {
  put_checkpoint("ckptaaaaaaaa", true, "bytes");
  EXPECT_THAT(run({"checkpoints", "list", "digits-mlp"}).out,
              StartsWith("ID            STEP  EPOCH  KIND   SIZE  SCORE          MARK  NAME\n"
                         "ckptaaaaaaaa   300      0  model   5 B  val/loss 0.25  best  "
                         "ckptaaaaaaaa.ckpt\n"));
  EXPECT_EQ(run({"checkpoints", "list", "wide"}).out, "No checkpoints yet.\n");
}

TEST_F(CommandsTest, DownloadTakesTheBestAndDoesNotReplaceFiles) {
  put_checkpoint("ckptaaaaaaaa", true, "the best");
  put_checkpoint("ckptbbbbbbbb", false, "the newest");
  const std::string folder = testing::TempDir() + "/downloads";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto content = [](const std::string& path) {
    std::string text;
    std::getline(std::ifstream(path), text, '\0');
    return text;
  };
  const Outcome best = run({"checkpoints", "download", "digits-mlp", "-o", folder});
  EXPECT_EQ(best.code, 0) << best.err;
  EXPECT_EQ(content(folder + "/ckptaaaaaaaa.ckpt"), "the best");  // no part of its path is used
  const std::string file = folder + "/x.ckpt";
  ASSERT_EQ(run({"checkpoints", "download", "digits-mlp", "-c", "newest", "-o", file}).code, 0);
  EXPECT_EQ(content(file), "the newest");
  const Outcome exists = run({"checkpoints", "download", "digits-mlp", "-o", file});
  EXPECT_EQ(exists.code, 1);
  EXPECT_THAT(exists.err, HasSubstr("--force replaces it"));
  ASSERT_EQ(
      run({"checkpoints", "download", "digits-mlp", "-c", "ckpta", "-o", file, "--force"}).code, 0);
  EXPECT_EQ(content(file), "the best");
  const std::string absent = folder + "/absent";
  ASSERT_EQ(run({"checkpoints", "download", "digits-mlp", "-o", absent + "/"}).code, 0);
  EXPECT_EQ(content(absent + "/ckptaaaaaaaa.ckpt"), "the best");
  const Outcome nowhere = run({"checkpoints", "download", "digits-mlp", "-o", absent + "2/x.ckpt"});
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("there is no folder " + absent + "2; make it"));
  EXPECT_EQ(run({"checkpoints", "download", "digits-mlp", "-c", "ckpt", "-o", file + "2"}).code, 2);
  EXPECT_EQ(run({"checkpoints", "download", "digits-mlp", "-c", "zzz", "-o", file + "2"}).code, 1);
}

TEST_F(CommandsTest, VersionShowsBothAndNeedsNoServer) {
  EXPECT_THAT(run({"version"}).out, HasSubstr("lctl-server  0.1.0-fake"));
  server_.shut_down();
  const Outcome alone = run({"version", "--json"});
  EXPECT_EQ(alone.code, 0);
  EXPECT_EQ(json::parse(alone.out)["server"], nullptr);
}

TEST_F(CommandsTest, WrongCommandLinesAreTwoAndSaySomething) {
  const Outcome command = run({"sbmit"});
  EXPECT_EQ(command.code, 2);
  EXPECT_EQ(command.err,
            "lctl: there is no command or argument `sbmit`; did you mean `submit`?\n"
            "See `lctl --help`.\n");
  const Outcome option = run({"checkpoints", "list", "x", "--jsno"});
  EXPECT_EQ(option.code, 2);
  EXPECT_THAT(option.err, HasSubstr("did you mean `--json`?\nSee `lctl checkpoints list --help`."));
  EXPECT_EQ(run({"stop"}).code, 2);
  EXPECT_EQ(run({"logs", "x", "--rank", "minus one"}).code, 2);
  EXPECT_THAT(run({"list", "--trainer.max_epochs=3"}).err,
              HasSubstr("dotted overrides go with `lctl submit` and `lctl run`"));
}

TEST_F(CommandsTest, HelpFitsTheScreenAndHasExamples) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"submit"},
                                             {"status"},
                                             {"list"},
                                             {"tag"},
                                             {"note"},
                                             {"logs"},
                                             {"metrics"},
                                             {"checkpoints"},
                                             {"checkpoints", "list"},
                                             {"checkpoints", "download"},
                                             {"stop"},
                                             {"resume"},
                                             {"stacks"},
                                             {"nodes"},
                                             {"nodes", "drain"},
                                             {"nodes", "undrain"},
                                             {"up"},
                                             {"run"},
                                             {"version"},
                                             {"completion"},
                                             {}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    const Outcome help = run(arguments);
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, HasSubstr("\nExamples:\n  "));
    std::istringstream in(help.out);
    for (std::string line; std::getline(in, line);) EXPECT_LE(display_width(line), 81) << line;
  }
}

}  // namespace
}  // namespace lctl::cli
