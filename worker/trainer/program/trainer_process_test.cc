// The trainer as a process: several ranks, stops, kills and what they leave behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "proto/lctl/v1/event.pb.h"
#include "worker/spool/spool_reader.h"

extern char** environ;

namespace lctl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr char kJob[] = R"(
seed_everything: 7
trainer:
  accelerator: cpu
  enable_progress_bar: false
  enable_model_summary: false
  log_every_n_steps: 1
  max_epochs: 3
  logger: {class_path: CSVLogger, init_args: {save_dir: .}}
  callbacks: [{class_path: RunSummary}]
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 24}}
      - ReLU
      - {Dropout: {p: 0.2}}
      - {Linear: {in_features: 24, out_features: 4}}
    metrics: [accuracy]
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 256, num_val: 64, batch_size: 16, shuffle: true}
optimizer:
  class_path: torch.optim.Adam
  init_args: {lr: 0.01}
)";

// A trainer process in a folder of its own.
class TrainerProcess {
 public:
  explicit TrainerProcess(const std::string& name)
      : folder_(fs::path(::testing::TempDir()) / (name + "-" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream(folder_ / "job.yaml") << kJob;
    environment_["OMP_NUM_THREADS"] = "1";
    environment_["CUDA_VISIBLE_DEVICES"] = "";
  }

  TrainerProcess& orchestrated() {
    environment_["LCTL_SPOOL"] = (folder_ / "events.log").string();
    environment_["LCTL_STAGE"] = (folder_ / "stage").string();
    return *this;
  }
  TrainerProcess& with(const std::string& name, const std::string& value) {
    environment_[name] = value;
    return *this;
  }

  TrainerProcess& start(std::vector<std::string> overrides = {}) {
    const std::string program = fs::absolute("worker/trainer/lctl-trainer").string();
    std::vector<std::string> words = {program, "fit", "--config", (folder_ / "job.yaml").string()};
    words.insert(words.end(), overrides.begin(), overrides.end());
    std::map<std::string, std::string> merged = environment_;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      merged.try_emplace(text.substr(0, text.find('=')),
                         text.substr(std::min(text.find('=') + 1, text.size())));
    }
    std::vector<std::string> variables;
    for (const auto& [name, value] : merged) variables.push_back(name + "=" + value);
    const auto pointers = [](std::vector<std::string>& texts) {
      std::vector<char*> list;
      for (std::string& text : texts) list.push_back(text.data());
      list.push_back(nullptr);
      return list;
    };
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder_.c_str());
    EXPECT_EQ(posix_spawn(&pid_, program.c_str(), &actions, nullptr, pointers(words).data(),
                          pointers(variables).data()),
              0);
    posix_spawn_file_actions_destroy(&actions);
    return *this;
  }

  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int run(std::vector<std::string> overrides = {}) { return start(std::move(overrides)).wait(); }
  void signal(int number) const { kill(pid_, number); }

  // Whole events written so far.
  std::vector<v1::Event> events(const std::string& file = "events.log") const {
    std::vector<v1::Event> events;
    const auto reader = spool::SpoolReader::open(folder_ / file, 0);
    for (;;) {
      const auto records = reader->read(1 << 20);
      EXPECT_TRUE(records.ok()) << records.status();
      if (!records.ok() || records->empty()) return events;
      for (const auto& record : *records) {
        v1::Event event;
        EXPECT_TRUE(event.ParseFromString(record.event));
        events.push_back(std::move(event));
      }
    }
  }

  // Returns when an event satisfies the predicate (the test's own time limit ends a wait in vain).
  template <typename Predicate>
  v1::Event wait_for(const Predicate& predicate) const {
    for (;;) {
      for (const v1::Event& event : events()) {
        if (predicate(event)) return event;
      }
      std::this_thread::yield();
    }
  }

  Json summary() const {
    std::ifstream file(folder_ / "result.json");
    return Json::parse(file);
  }
  fs::path path(const std::string& name) const { return folder_ / name; }

 private:
  fs::path folder_;
  std::map<std::string, std::string> environment_;
  pid_t pid_ = -1;
};

v1::Finished finished(const TrainerProcess& run) {
  const auto events = run.events();
  return events.empty() ? v1::Finished() : events.back().finished();
}

std::vector<std::string> digests(const TrainerProcess& run) {
  std::vector<std::string> list;
  const auto summary = run.summary();
  for (const auto& tensor : summary["state"]) list.push_back(tensor["sha256"]);
  return list;
}

TEST(TrainerProcessTest, TwoRanksEndWithEqualParameterBits) {
  TrainerProcess run("two-ranks");
  // With a safety checkpoint at every opportunity: the ranks have to agree on each of them.
  ASSERT_EQ(run.orchestrated()
                .with("LCTL_CHECKPOINT_EVERY_MS", "1")
                .run({"--trainer.devices=2", "--data.init_args.num_train=2048"}),
            0);
  const auto other = run.events("events.log.rank1");
  ASSERT_FALSE(other.empty());
  EXPECT_EQ(other.front().ready().rank(), 1);
  EXPECT_EQ(other.back().finished().outcome(), v1::Finished::OUTCOME_SUCCEEDED);
  EXPECT_EQ(finished(run).outcome(), v1::Finished::OUTCOME_SUCCEEDED);
  EXPECT_EQ(finished(run).parameters_sha256().size(), 64u);
  EXPECT_EQ(finished(run).parameters_sha256(), other.back().finished().parameters_sha256());
}

// The same samples in each global step, on one rank and on two: sequential data, rank r takes r,
// r+2, …
TEST(TrainerProcessTest, TwoRanksEqualOneRankWithTheSameGlobalBatch) {
  const std::vector<std::string> common = {
      "--trainer.overfit_batches=1.0",
      "--trainer.max_epochs=2",
      "--data.init_args.num_train=64",
      "--data.init_args.shuffle=false",
      "--optimizer.class_path=torch.optim.SGD",
      "--optimizer.init_args.lr=0.1",
      "--model.init_args.layers=[{Linear: {in_features: 8, "
      "out_features: 24}}, ReLU, {Linear: {in_features: 24, out_features: 4}}]"};
  const auto and_also = [&common](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return more;
  };
  TrainerProcess one("one-rank");
  TrainerProcess two("two-ranks-batch");
  ASSERT_EQ(one.run(and_also({"--data.init_args.batch_size=16"})), 0);
  ASSERT_EQ(two.run(and_also({"--data.init_args.batch_size=8", "--trainer.devices=2",
                              "--trainer.strategy=ddp"})),
            0);
  const Json a = one.summary();
  const Json b = two.summary();
  EXPECT_EQ(a["global_step"], b["global_step"]);
  ASSERT_EQ(a["state"].size(), b["state"].size());
  for (std::size_t i = 0; i < a["state"].size(); ++i) {
    EXPECT_NEAR(a["state"][i]["l2"].get<double>(), b["state"][i]["l2"].get<double>(), 1e-5)
        << a["state"][i]["name"];
    EXPECT_NEAR(a["state"][i]["sum"].get<double>(), b["state"][i]["sum"].get<double>(), 1e-4)
        << a["state"][i]["name"];
  }
}

// Stopped by SIGTERM as soon as it trains, resumed from the stop checkpoint: the same bits as
// undisturbed.
void expect_stop_and_resume_is_exact(const std::string& name, std::vector<std::string> overrides) {
  TrainerProcess whole(name + "-whole");
  ASSERT_EQ(whole.orchestrated().run(overrides), 0);

  TrainerProcess first(name + "-first");
  first.orchestrated().start(overrides);
  first.wait_for(
      [](const v1::Event& event) { return event.has_metrics() && event.metrics().step() >= 4; });
  first.signal(SIGTERM);
  ASSERT_EQ(first.wait(), 75);
  EXPECT_EQ(finished(first).outcome(), v1::Finished::OUTCOME_STOPPED);
  const v1::Event stop = first.wait_for([](const v1::Event& event) {
    return event.has_checkpoint() && event.checkpoint().kind() == v1::CHECKPOINT_KIND_STOP;
  });
  EXPECT_GT(stop.checkpoint().global_step(), 4);
  EXPECT_LT(stop.checkpoint().global_step(), whole.summary()["global_step"].get<std::int64_t>());

  TrainerProcess second(name + "-second");
  second.orchestrated().with("LCTL_RESUME_CKPT",
                             (first.path("stage") / stop.checkpoint().file()).string());
  ASSERT_EQ(second.run(overrides), 0);
  EXPECT_EQ(digests(second), digests(whole));
  EXPECT_EQ(second.summary()["callback_metrics"], whole.summary()["callback_metrics"]);
  EXPECT_EQ(second.summary()["global_step"], whole.summary()["global_step"]);
  const v1::Event ready = second.wait_for([](const v1::Event& event) { return event.has_ready(); });
  EXPECT_EQ(ready.ready().resumed_at_step(), stop.checkpoint().global_step());
}

const std::vector<std::string> kLong = {"--data.init_args.num_train=16384",
                                        "--trainer.max_epochs=2"};

TEST(TrainerProcessTest, StoppedAndResumedRunEndsWithTheSameBits) {
  expect_stop_and_resume_is_exact("stop", kLong);
}

TEST(TrainerProcessTest, StoppedAndResumedTwoRankRunEndsWithTheSameBits) {
  expect_stop_and_resume_is_exact("stop-ddp", {"--data.init_args.num_train=8192",
                                               "--trainer.max_epochs=2", "--trainer.devices=2"});
}

TEST(TrainerProcessTest, StoppedAndResumedWithWorkersAndValidationInsideTheEpoch) {
  std::vector<std::string> overrides = kLong;
  overrides.insert(overrides.end(),
                   {"--data.init_args.num_workers=2", "--trainer.val_check_interval=0.25",
                    "--trainer.accumulate_grad_batches=3"});
  expect_stop_and_resume_is_exact("stop-val", overrides);
}

// Every file that a run leaves in `ck` is one from which training goes on exactly.
void expect_every_checkpoint_resumes_exactly(const std::vector<std::string>& overrides,
                                             int at_least) {
  TrainerProcess whole("ckpt-whole");
  ASSERT_EQ(whole.run(overrides), 0);
  const std::vector<std::string> expected = digests(whole);
  int resumed = 0;
  for (const auto& entry : fs::directory_iterator(whole.path("ck"))) {
    TrainerProcess again("ckpt-again");
    std::vector<std::string> words = overrides;
    words.push_back("--ckpt_path=" + entry.path().string());
    ASSERT_EQ(again.run(words), 0) << entry.path();
    EXPECT_EQ(digests(again), expected) << overrides.front() << " " << entry.path();
    ++resumed;
  }
  EXPECT_GE(resumed, at_least) << overrides.front();
}

TEST(TrainerProcessTest, EveryModelCheckpointResumesExactly) {
  const auto callbacks = [](const std::string& arguments) {
    return "--trainer.callbacks=[{class_path: RunSummary}, {class_path: ModelCheckpoint, "
           "init_args: {dirpath: ck, save_top_k: -1, " +
           arguments + "}}]";
  };
  for (const std::string& arguments :
       {std::string("every_n_train_steps: 5"), std::string("every_n_epochs: 1"),
        std::string("save_on_train_epoch_end: false")}) {
    expect_every_checkpoint_resumes_exactly(
        {callbacks(arguments), "--trainer.val_check_interval=0.5"}, 3);
  }
}

// Frozen until epoch 1, with statistics of batches before and after.
const std::vector<std::string> kFinetuning = {
    "--trainer.callbacks=[{class_path: RunSummary}, {class_path: BackboneFinetuning, init_args: "
    "{unfreeze_backbone_at_epoch: 1}}, {class_path: ModelCheckpoint, init_args: {dirpath: ck, "
    "save_top_k: -1, every_n_train_steps: 6}}]",
    "--model.init_args.backbone=[{Linear: {in_features: 8, out_features: 8}}, {BatchNorm1d: "
    "{num_features: 8}}, ReLU]",
    "--trainer.max_epochs=3"};

TEST(TrainerProcessTest, FinetuningResumesExactlyBeforeAndAfterTheBackboneJoins) {
  expect_every_checkpoint_resumes_exactly(kFinetuning, 6);
}

// Lightning's ranks drift apart here: DDP there goes on averaging what learned at the start.
TEST(TrainerProcessTest, TwoRanksThatUnfreezeABackboneEndWithEqualParameterBits) {
  TrainerProcess run("two-ranks-finetuning");
  std::vector<std::string> words = kFinetuning;
  words.push_back("--trainer.devices=2");
  ASSERT_EQ(run.orchestrated().run(words), 0);
  const auto other = run.events("events.log.rank1");
  ASSERT_FALSE(other.empty());
  EXPECT_EQ(finished(run).parameters_sha256().size(), 64u);
  EXPECT_EQ(finished(run).parameters_sha256(), other.back().finished().parameters_sha256());
  TrainerProcess resumed("two-ranks-finetuning-resumed");
  words.push_back("--ckpt_path=" + run.path("ck/epoch=1-step=12.ckpt").string());
  ASSERT_EQ(resumed.run(words), 0);
  EXPECT_EQ(digests(resumed), digests(run));
}

TEST(TrainerProcessTest, RecoveryCheckpointsAreWrittenAndResumeExactly) {
  TrainerProcess whole("recovery-whole");
  ASSERT_EQ(whole.run(), 0);
  TrainerProcess saving("recovery");
  ASSERT_EQ(saving.orchestrated().with("LCTL_CHECKPOINT_EVERY_MS", "1").run(), 0);
  std::vector<v1::CheckpointWritten> written;
  for (const v1::Event& event : saving.events()) {
    if (event.has_checkpoint() && event.checkpoint().kind() == v1::CHECKPOINT_KIND_RECOVERY)
      written.push_back(event.checkpoint());
  }
  ASSERT_GE(written.size(), 2u);
  const v1::CheckpointWritten& middle = written[written.size() / 2];
  EXPECT_EQ(static_cast<std::uintmax_t>(middle.size()),
            fs::file_size(saving.path("stage") / middle.file()));
  TrainerProcess again("recovery-again");
  again.with("LCTL_RESUME_CKPT", (saving.path("stage") / middle.file()).string());
  ASSERT_EQ(again.run(), 0);
  EXPECT_EQ(digests(again), digests(whole));
}

TEST(TrainerProcessTest, FileToGoOnFromThatIsNoCheckpointIsSaidSo) {
  TrainerProcess run("torn");
  std::ofstream(run.path("torn.ckpt")) << "PK half of an archive";
  run.orchestrated().with("LCTL_RESUME_CKPT", run.path("torn.ckpt").string());
  EXPECT_EQ(run.run(), 74);
  EXPECT_EQ(finished(run).outcome(), v1::Finished::OUTCOME_UNREADABLE_CHECKPOINT);
  EXPECT_THAT(finished(run).message(), ::testing::HasSubstr("not a checkpoint"));
  TrainerProcess by_hand("torn-by-hand");
  EXPECT_EQ(by_hand.run({"--ckpt_path=" + run.path("torn.ckpt").string()}), 1);
}

TEST(TrainerProcessTest, LeftOutBatchesAreCountedAndNotTrainedOn) {
  TrainerProcess whole("skip-none");
  ASSERT_EQ(whole.run({"--trainer.max_epochs=1"}), 0);
  TrainerProcess run("skip-two");
  run.with("LCTL_SKIP_BATCHES", "0:1,0:3,7:0");
  ASSERT_EQ(run.run({"--trainer.max_epochs=1"}), 0);
  EXPECT_EQ(run.summary()["global_step"].get<std::int64_t>(),
            whole.summary()["global_step"].get<std::int64_t>() - 2);
  EXPECT_NE(digests(run), digests(whole));
  TrainerProcess wrong("skip-wrong");
  wrong.with("LCTL_SKIP_BATCHES", "0:1,");
  EXPECT_EQ(wrong.run(), 1);
}

TEST(TrainerProcessTest, KilledRankLeavesAReadableSpool) {
  TrainerProcess run("killed");
  run.orchestrated().start(kLong);
  run.wait_for(
      [](const v1::Event& event) { return event.has_metrics() && event.metrics().step() >= 20; });
  run.signal(SIGKILL);
  EXPECT_EQ(run.wait(), 128 + SIGKILL);
  std::int64_t expected_step = 0;
  for (const v1::Event& event : run.events()) {
    if (!event.has_metrics() || event.metrics().keys(0) != "train/loss") continue;
    EXPECT_EQ(event.metrics().step(), expected_step++);
  }
  EXPECT_GT(expected_step, 20);
}

TEST(TrainerProcessTest, BadConfigurationIsReportedAsSuch) {
  TrainerProcess run("bad");
  EXPECT_EQ(run.orchestrated().run({"--trainer.max_epochs=three"}), 2);
  EXPECT_EQ(finished(run).outcome(), v1::Finished::OUTCOME_BAD_SPEC);
  EXPECT_THAT(finished(run).message(), ::testing::HasSubstr("max_epochs"));
}

// What only the user can mend is not tried again: exit code 2.
TEST(TrainerProcessTest, DataThatAreNotAsTheConfigurationSaysAreABadConfiguration) {
  TrainerProcess run("columns");
  std::ofstream(run.path("data.csv")) << "a,b,kind\n1,2,0\n3,4,1\n";
  const auto with = [&](const std::string& arguments) {
    return run.orchestrated().run({"--data={class_path: CsvDataModule, init_args: {path: " +
                                   run.path("data.csv").string() + ", " + arguments + "}}"});
  };
  EXPECT_EQ(with("label: target"), 2);
  EXPECT_EQ(finished(run).outcome(), v1::Finished::OUTCOME_BAD_SPEC);
  EXPECT_THAT(finished(run).message(), ::testing::HasSubstr("there is no column 'target'"));
  EXPECT_EQ(with("label: kind, reshape: [3]"), 2);
  std::ofstream(run.path("data.csv")) << "a,b,kind\n1,2,0\n3,four,1\n";
  EXPECT_EQ(with("label: kind"), 2);
  EXPECT_THAT(finished(run).message(), ::testing::HasSubstr(":3: column 'b': 'four'"));
}

TEST(TrainerProcessTest, ProgressNeverRunsAheadAndEndsWhereTheRunEnds) {
  TrainerProcess run("progress");
  ASSERT_EQ(run.orchestrated().run(), 0);
  std::int64_t reports = 0;
  v1::Progress last;
  for (const v1::Event& event : run.events()) {
    if (!event.has_progress()) continue;
    last = event.progress();
    ++reports;
    if (last.epoch() == 3) continue;  // the end: all epochs are complete
    // One step for each batch here.
    EXPECT_EQ(last.epoch() * last.batches_per_epoch() + last.batch(), last.global_step())
        << last.ShortDebugString();
  }
  EXPECT_GT(reports, 3);
  EXPECT_EQ(last.global_step(), 48);
}

TEST(TrainerProcessTest, StoppedRunsProgressIsItsStopCheckpoints) {
  TrainerProcess run("stopped-progress");
  run.orchestrated().start(kLong);
  run.wait_for(
      [](const v1::Event& event) { return event.has_metrics() && event.metrics().step() >= 7; });
  run.signal(SIGTERM);
  ASSERT_EQ(run.wait(), 75);
  std::int64_t shown = 0;
  std::int64_t saved = 0;
  for (const v1::Event& event : run.events()) {
    if (event.has_progress()) shown = event.progress().global_step();
    if (event.has_checkpoint()) saved = event.checkpoint().global_step();
  }
  EXPECT_GT(saved, 7);
  EXPECT_EQ(shown, saved);
}

TEST(TrainerProcessTest, ModelCheckpointsTellWhichScoresAreGood) {
  for (const std::string mode : {"min", "max"}) {
    TrainerProcess run("mode-" + mode);
    ASSERT_EQ(
        run.orchestrated().run({"--trainer.callbacks=[{class_path: ModelCheckpoint, init_args: "
                                "{monitor: val/loss, mode: " +
                                mode + "}}]"}),
        0);
    int told = 0;
    for (const v1::Event& event : run.events()) {
      if (!event.has_checkpoint()) continue;
      EXPECT_EQ(event.checkpoint().monitor(), "val/loss");
      EXPECT_EQ(event.checkpoint().mode(),
                mode == "max" ? v1::MONITOR_MODE_MAX : v1::MONITOR_MODE_MIN);
      ++told;
    }
    EXPECT_GT(told, 0);
  }
}

TEST(TrainerProcessTest, FailureNamesItsReason) {
  TrainerProcess run("fails");
  EXPECT_EQ(run.orchestrated().run({"--ckpt_path=nosuch.ckpt"}), 2);
  TrainerProcess shapes("shapes");
  EXPECT_EQ(shapes.orchestrated().run({"--data.init_args.num_features=9"}), 1);
  EXPECT_EQ(finished(shapes).outcome(), v1::Finished::OUTCOME_FAILED);
  EXPECT_THAT(finished(shapes).message(), ::testing::HasSubstr("shapes cannot be multiplied"));
}

// All ranks agree on the batch at which the time is up: a rank that went on alone would wait for
// ever.
TEST(TrainerProcessTest, MaxTimeEndsARunThatNothingElseWouldEnd) {
  for (const char* devices : {"1", "2"}) {
    SCOPED_TRACE(devices);
    TrainerProcess process(std::string("max_time_") + devices);
    EXPECT_EQ(process.run({"--trainer.max_epochs=-1", "--trainer.max_time={seconds: 0.3}",
                           std::string("--trainer.devices=") + devices}),
              0);
    EXPECT_GT(process.summary().at("global_step").get<int>(), 0);
  }
}

TEST(TrainerProcessTest, SigtermWithoutAnAgentEndsTheRun) {
  TrainerProcess run("alone");
  run.with("LCTL_SPOOL", run.path("events.log").string()).start(kLong);
  run.wait_for(
      [](const v1::Event& event) { return event.has_metrics() && event.metrics().step() >= 4; });
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 143);
}

// Before the end of its time SLURM sends SIGUSR1: the run saves, asks to be queued again, and the
// next one goes on from there.
TEST(TrainerProcessTest, SlurmsSignalSavesAndRequeuesAndTheNextRunGoesOn) {
  TrainerProcess run("slurm");
  fs::create_directories(run.path("bin"));
  const fs::path scontrol = run.path("bin/scontrol");
  std::ofstream(scontrol) << "#!/bin/sh\necho \"$@\" > asked.tmp\nmv asked.tmp asked\n";
  fs::permissions(scontrol, fs::perms::owner_all);
  run.with("PATH", run.path("bin").string() + ":/usr/bin:/bin")
      .with("SLURM_NTASKS", "1")
      .with("SLURM_JOB_ID", "42")
      .start({"--trainer.max_epochs=1000000"});
  const auto wait_for = [](const fs::path& file) {
    while (!fs::exists(file)) std::this_thread::yield();
  };
  const fs::path metrics = run.path("lightning_logs/version_0/metrics.csv");
  wait_for(metrics);
  while (fs::file_size(metrics) < 1'000) std::this_thread::yield();  // some steps are done
  run.signal(SIGUSR1);
  wait_for(run.path("asked"));
  std::string asked;
  std::getline(std::ifstream(run.path("asked")), asked);
  EXPECT_EQ(asked, "requeue 42");
  EXPECT_TRUE(fs::exists(run.path("hpc_ckpt_1.ckpt")));
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 143);

  ASSERT_EQ(run.run({"--trainer.max_steps=1"}), 0);
  EXPECT_GT(run.summary()["global_step"].get<std::int64_t>(), 1) << "it began anew";
}

// Ctrl-C in a terminal: callbacks are told, so an OnExceptionCheckpoint has its say.
TEST(TrainerProcessTest, AnInterruptedRunEndsInOrder) {
  TrainerProcess run("interrupted");
  run.start(
      {"--trainer.max_epochs=1000000",
       "--trainer.callbacks=[{class_path: OnExceptionCheckpoint, init_args: {dirpath: ck}}]"});
  while (!fs::exists(run.path("lightning_logs/version_0/metrics.csv"))) std::this_thread::yield();
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(), 1);
  EXPECT_TRUE(fs::exists(run.path("ck/on_exception.ckpt")));
}

}  // namespace
}  // namespace lctl
