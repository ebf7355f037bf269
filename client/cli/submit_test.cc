// submit, and everything about following a job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "client/cli/follow.h"
#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kJob[] = R"(seed_everything: 7
trainer:
  max_epochs: 3
model:
  class_path: Classifier
  init_args:
    layers:
      - {Linear: {in_features: 8, out_features: 4}}
    loss: cross_entropy
data:
  class_path: SyntheticDataModule
  init_args: {num_train: 128, batch_size: 16}
optimizer:
  class_path: SGD
  init_args: {lr: 0.05}
job:
  name: tiny
)";

class SubmitTest : public ProgramTest {
 protected:
  SubmitTest() : path_(testing::TempDir() + "/job.yaml") { write(kJob); }

  void write(const std::string& text) { std::ofstream(path_) << text; }

  // Carries on with the submitted job as soon as somebody watches it.
  std::thread server_does(std::vector<v1::Job> changes) {
    return std::thread([this, changes = std::move(changes)] {
      while (server_.calls("Watch") == 0) std::this_thread::yield();
      for (v1::Job change : changes) {
        change.set_id(server_.job("@last").id());
        server_.put_job(change);
      }
    });
  }

  std::string path_;
};

TEST_F(SubmitTest, JobAndOverridesReachTheServer) {
  const Outcome result = run({"submit", path_, "--trainer.max_epochs=5", "--job.priority", "70"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("Submitted tiny (newjob0001) to " + server_.address()));
  ASSERT_EQ(server_.submissions().size(), 1u);
  const v1::SubmitRequest request = server_.submissions()[0];
  EXPECT_EQ(request.submitted_by(), "me@here");
  EXPECT_EQ(request.spec().priority(), 70);
  EXPECT_THAT(request.spec().config_yaml(), HasSubstr("max_epochs: 5"));
  EXPECT_FALSE(request.idempotency_key().empty());
}

// The working folder, for as long as it lives.
class WorkingFolder {
 public:
  explicit WorkingFolder(const std::filesystem::path& folder)
      : before_(std::filesystem::current_path()) {
    std::filesystem::create_directories(folder);
    std::filesystem::current_path(folder);
  }
  ~WorkingFolder() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

TEST_F(SubmitTest, TheCodeOfTheFolderGoesAlong) {
  const WorkingFolder folder(testing::TempDir() + "/tree");
  ASSERT_EQ(std::system("git init -q -b trunk . && echo 'a: 1' > a.yaml && git add . &&"
                        " git -c user.name=A -c user.email=a@b.c commit -q -m first &&"
                        " echo 'a: 2' > a.yaml && echo x > new"),
            0);
  ASSERT_EQ(run({"submit", path_}).code, 0);
  ASSERT_EQ(run({"submit", path_, "--no-source"}).code, 0);
  const std::vector<v1::SubmitRequest> sent = server_.submissions();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_THAT(sent[0].source().diff(), HasSubstr("+a: 2"));
  EXPECT_FALSE(sent[1].has_source());

  const std::string commit = sent[0].source().commit();
  const std::string text = run({"source", "newjob0001"}).out;
  EXPECT_THAT(text, HasSubstr(commit));
  EXPECT_THAT(text, HasSubstr("trunk"));
  EXPECT_THAT(text, HasSubstr("1: new"));
  EXPECT_EQ(run({"source", "newjob0001", "--diff"}).out, sent[0].source().diff());
  const json all = json::parse(run({"source", "newjob0001", "--json"}).out);
  EXPECT_EQ(all["commit"], commit);
  EXPECT_EQ(all["diff"], sent[0].source().diff());
  EXPECT_EQ(all["untracked"], json::array({"new"}));
  const json status = json::parse(run({"status", "newjob0001", "--json"}).out);
  EXPECT_EQ(status["source"]["branch"], "trunk");
  EXPECT_FALSE(status["source"].contains("diff"));
  EXPECT_THAT(run({"status", "newjob0001"}).out,
              HasSubstr(commit.substr(0, 12) + " on trunk, changed"));

  EXPECT_EQ(run({"source", "newjob0002"}).code, 1);
  EXPECT_EQ(json::parse(run({"status", "newjob0002", "--json"}).out)["source"], nullptr);
  EXPECT_EQ(run({"source", "newjob0001", "--diff", "--json"}).code, 2);
}

TEST_F(SubmitTest, JsonIsTheJob) {
  const json job = json::parse(run({"submit", path_, "--json"}).out);
  EXPECT_EQ(job["id"], "newjob0001");
  EXPECT_EQ(job["state"], "QUEUED");
}

TEST_F(SubmitTest, EveryMistakeIsShownAndNothingIsSent) {
  std::string text = kJob;
  text.replace(text.find("max_epochs"), 10, "max_epoch");
  text.replace(text.find("lr: 0.05"), 8, "lr: fast");
  write(text);
  const Outcome result = run({"submit", path_});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("job.yaml:3: trainer.max_epoch: "));
  EXPECT_THAT(result.err, HasSubstr("did you mean `max_epochs`?\n"));
  EXPECT_THAT(result.err, HasSubstr("job.yaml:15: optimizer.init_args.lr: "));
  EXPECT_THAT(result.err, HasSubstr("lctl: 2 mistakes in the job; nothing was submitted\n"));
  EXPECT_TRUE(server_.submissions().empty());
}

TEST_F(SubmitTest, ColoursMarkPlaceKeyAndSuggestion) {
  std::string text = kJob;
  text.replace(text.find("max_epochs"), 10, "max_epoch");
  write(text);
  look_.colour = true;
  const std::string err = run({"submit", path_}).err;
  EXPECT_THAT(err, HasSubstr(":3:\x1b[0m \x1b[36mtrainer.max_epoch\x1b[0m: "));
  EXPECT_THAT(err, HasSubstr("\x1b[32mdid you mean `max_epochs`\x1b[0m"));
}

TEST_F(SubmitTest, WrongOverridesAndMissingFilesAreTwo) {
  EXPECT_EQ(run({"submit", path_, "--trainer.max_epochs=three"}).code, 2);
  EXPECT_THAT(run({"submit", path_, "--trainer.max_epoch=3"}).err,
              HasSubstr("did you mean `max_epochs`"));
  EXPECT_THAT(run({"submit", path_, "--trainer.max_epochs"}).err, HasSubstr("needs a value"));
  const Outcome missing = run({"submit", path_ + ".none"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, HasSubstr("job.yaml.none"));
  EXPECT_TRUE(server_.submissions().empty());
}

TEST_F(SubmitTest, DryRunPrintsTheWholeJobAndSendsNothing) {
  server_.shut_down();
  const Outcome result = run({"submit", "--dry-run", path_, "--trainer.max_epochs=9"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("max_epochs: 9"));
}

TEST_F(SubmitTest, RefusalOfTheServerIsShownAsFindings) {
  const Outcome result = run({"submit", path_, "--job.name=refuse-me"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("job.yaml:3: trainer.max_epochs: expected int"));
}

TEST_F(SubmitTest, FollowedJobThatSucceedsIsZero) {
  v1::Job running = make_job("", "tiny", v1::JOB_STATE_RUNNING);
  running.set_reason("all ranks have started");
  v1::Job done = make_job("", "tiny", v1::JOB_STATE_SUCCEEDED);
  done.set_finished_us(FakeClock::kNow);
  std::thread server = server_does({running, done});
  const Outcome result = run({"submit", "--follow", path_});
  server.join();
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("QUEUED     waiting for its turn\n"));
  EXPECT_THAT(result.out, HasSubstr("SUCCEEDED  tiny (newjob0001) in 1m 30s, 1,214 steps\n"));
  EXPECT_THAT(result.out, HasSubstr("lctl metrics newjob0001 --plot"));
}

TEST_F(SubmitTest, FollowedJobThatFailsIsOneWithItsLastWords) {
  v1::Job failed = make_job("", "tiny", v1::JOB_STATE_FAILED);
  failed.set_reason("rank 1: shapes cannot be multiplied");
  v1::RankStatus* first = failed.add_ranks();
  first->set_rank(0);
  first->set_exit_code(143);
  v1::RankStatus* second = failed.add_ranks();
  second->set_rank(1);
  second->set_exit_code(1);
  second->set_message("shapes cannot be multiplied");
  server_.put_log("newjob0001", 1, 0, "the innocent one\n", true);
  server_.put_log("newjob0001", 1, 1, "error: shapes \x1b[2Jcannot be multiplied\n", true);
  std::thread server = server_does({failed});
  const Outcome result = run({"submit", "-f", path_});
  server.join();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, HasSubstr("FAILED  tiny (newjob0001)"));
  EXPECT_THAT(result.out, HasSubstr("  rank 1: shapes cannot be multiplied\n"));
  EXPECT_THAT(result.out,
              HasSubstr("Last output of rank 1:\n  error: shapes ?[2Jcannot be multiplied\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("innocent")));
}

TEST_F(SubmitTest, FollowedJobThatIsStoppedIsFour) {
  std::thread server = server_does({make_job("", "tiny", v1::JOB_STATE_STOPPED)});
  const Outcome result = run({"submit", "-f", path_});
  server.join();
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.out, HasSubstr("lctl resume newjob0001"));
}

TEST_F(SubmitTest, CtrlCEndsTheFollowingAndNotTheJob) {
  std::thread user([this] {
    while (server_.calls("Watch") == 0) std::this_thread::yield();
    interrupts_.press();
  });
  const Outcome result = run({"submit", "-f", path_});
  user.join();
  EXPECT_EQ(result.code, 130);
  EXPECT_THAT(result.err, HasSubstr("The job goes on. Follow it again: lctl status newjob0001 "
                                    "--follow; stop it: lctl stop newjob0001"));
  EXPECT_EQ(server_.job("newjob0001").state(), v1::JOB_STATE_QUEUED);
}

TEST_F(SubmitTest, FollowAsJsonIsALineForEachChange) {
  std::thread server = server_does({make_job("", "tiny", v1::JOB_STATE_SUCCEEDED)});
  const Outcome result = run({"submit", "-f", "--json", path_});
  server.join();
  EXPECT_EQ(result.code, 0);
  std::istringstream in(result.out);
  std::string line;
  std::string last;
  while (std::getline(in, line)) {
    EXPECT_EQ(json::parse(line)["id"], "newjob0001");
    last = line;
  }
  EXPECT_EQ(json::parse(last)["state"], "SUCCEEDED");
}

TEST_F(SubmitTest, RestartOfTheServerDoesNotEndTheFollowing) {
  std::thread server([this] {
    while (server_.calls("Watch") == 0) std::this_thread::yield();
    server_.shut_down();
    server_.start_again();
    server_.put_job(make_job("newjob0001", "tiny", v1::JOB_STATE_SUCCEEDED));
  });
  const Outcome result = run({"submit", "-f", path_});
  server.join();
  EXPECT_EQ(result.code, 0) << result.out << result.err;
}

// FollowView alone: what a terminal sees, change by change.
class FollowViewTest : public ProgramTest {
 protected:
  std::string shown(const Look& look, const std::vector<v1::Job>& changes) {
    std::ostringstream out;
    Environment environment{.out = out,
                            .err = out,
                            .out_look = look,
                            .err_look = look,
                            .variable = [](const char*) { return std::nullopt; },
                            .clock = clock_,
                            .interrupts = interrupts_};
    {
      FollowView view(environment);
      for (const v1::Job& job : changes) view.changed(job);
    }
    return out.str();
  }

  static v1::Job running(std::int64_t epoch, std::int64_t step) {
    v1::Job job = make_job("aaaaaaaaaa", "tiny", v1::JOB_STATE_RUNNING);
    job.set_reason("all ranks have started");
    job.mutable_progress()->set_epoch(epoch);
    job.mutable_progress()->set_global_step(step);
    return job;
  }
};

TEST_F(FollowViewTest, TerminalShowsALiveLineBelowTheStates) {
  v1::Job job = running(1, 300);
  job.mutable_progress()->set_batches_per_epoch(200);
  job.mutable_progress()->set_batch(100);
  EXPECT_EQ(shown({.width = 80, .terminal = true}, {job}),
            "RUNNING    all ranks have started\n"
            "\r\x1b[2Kepoch 2/3  ━━━━━━━━━━━━━━━───────────────   50%  step 300\r\x1b[2K");
}

TEST_F(FollowViewTest, PlainOutputHasALineForEachEpochAndNoControlCodes) {
  EXPECT_EQ(shown({}, {running(0, 1), running(0, 2), running(1, 3), running(1, 4)}),
            "RUNNING    all ranks have started\n"
            "  epoch 1/3  step 1\n"
            "  epoch 2/3  step 3\n");
}

TEST_F(FollowViewTest, EachReasonToWaitIsToldOnce) {
  v1::Job job = make_job("aaaaaaaaaa", "tiny", v1::JOB_STATE_QUEUED);
  job.set_reason("waiting: 2 jobs are before it");
  v1::Job later = job;
  later.set_reason("waiting: one job is before it");
  EXPECT_EQ(shown({}, {job, job, later}),
            "QUEUED     waiting: 2 jobs are before it\n"
            "QUEUED     waiting: one job is before it\n");
}

TEST_F(FollowViewTest, NextAttemptIsNumbered) {
  v1::Job job = running(1, 3);
  job.set_attempt(2);
  EXPECT_THAT(shown({}, {running(0, 1), job}),
              HasSubstr("RUNNING    attempt 2: all ranks have started\n"));
}

}  // namespace
}  // namespace lctl::cli
