#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CompletionTest : public ProgramTest {
 protected:
  // The words offered at the end of this command line.
  std::vector<std::string> offered(std::vector<std::string> words) {
    words.insert(words.begin(), {"__complete", "--"});
    std::istringstream in(run(words).out);
    std::vector<std::string> found;
    for (std::string line; std::getline(in, line);)
      found.push_back(line.substr(0, line.find('\t')));
    return found;
  }
};

TEST_F(CompletionTest, CommandsAndTheirCommands) {
  EXPECT_THAT(offered({"st"}), ElementsAre("status", "stop", "stacks"));
  EXPECT_THAT(offered({"checkpoints", ""}), ElementsAre("list", "download", "diff"));
  EXPECT_THAT(offered({""}),
              AllOf(Contains("submit"), Contains("completion"), Not(Contains("__complete"))));
}

TEST_F(CompletionTest, OptionsOfTheCommandAndOfTheProgram) {
  EXPECT_THAT(offered({"list", "--"}),
              ElementsAre("--help", "--experiment", "--state", "--where", "--sort", "--show",
                          "--search", "--limit", "--json", "--help", "--server"));
  EXPECT_THAT(offered({"status", "--fo"}), ElementsAre("--follow"));
}

TEST_F(CompletionTest, JobsByIdNameAndLast) {
  server_.put_job(make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_SUCCEEDED));
  server_.put_job(make_job("abbbbbbbbb", "digits-mlp", v1::JOB_STATE_RUNNING));
  EXPECT_THAT(offered({"status", ""}),
              ElementsAre("@last", "abbbbbbbbb", "digits-mlp", "aaaaaaaaaa"));
  EXPECT_THAT(offered({"checkpoints", "list", "ab"}), ElementsAre("abbbbbbbbb"));
  EXPECT_THAT(offered({"stop", "--wait", "dig"}), ElementsAre("digits-mlp"));
  EXPECT_THAT(offered({"status", "digits-mlp", ""}), IsEmpty());  // it takes one job
}

TEST_F(CompletionTest, KeysOfTheJobThatWasNamed) {
  server_.put_job(make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_SUCCEEDED));
  server_.put_job(make_job("bbbbbbbbbb", "other", v1::JOB_STATE_SUCCEEDED));
  server_.put_point("aaaaaaaaaa", "train/loss", {});
  server_.put_point("aaaaaaaaaa", "val/loss", {});
  EXPECT_THAT(offered({"metrics", "digits-mlp", ""}), ElementsAre("train/loss", "val/loss"));
  EXPECT_THAT(offered({"metrics", "digits-mlp", "train/loss", "v"}), ElementsAre("val/loss"));
  EXPECT_THAT(offered({"metrics", "other", ""}), IsEmpty());
}

TEST_F(CompletionTest, TagsOfTheJobThatWasNamedAndKeysToSortBy) {
  v1::Job job = make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_SUCCEEDED);
  (*job.mutable_tags())["team"] = "vision";
  (*job.mutable_tags())["good"] = "yes";
  server_.put_job(job);
  server_.put_point("aaaaaaaaaa", "val/loss", {});
  EXPECT_THAT(offered({"tag", "digits-mlp", ""}), ElementsAre("good=", "team="));
  EXPECT_THAT(offered({"tag", "digits-mlp", "good=no", "te"}), ElementsAre("team="));
  EXPECT_THAT(offered({"tag", "digits-mlp", "--remove", "t"}), ElementsAre("team"));
  EXPECT_THAT(offered({"list", "--sort", ""}),
              ElementsAre("name", "submit_time", "start_time", "end_time", "val/loss"));
  EXPECT_THAT(offered({"list", "--show", "val"}), ElementsAre("val/loss"));
  EXPECT_THAT(offered({"note", "dig"}), ElementsAre("digits-mlp"));
  EXPECT_THAT(offered({"list", "--where", ""}), IsEmpty());
}

TEST_F(CompletionTest, ValuesOfOptions) {
  EXPECT_THAT(offered({"list", "--state", "S"}),
              ElementsAre("STARTING", "STOPPING", "SUCCEEDED", "STOPPED"));
  EXPECT_THAT(offered({"list", "--state=SU"}), ElementsAre("--state=SUCCEEDED"));
  server_.put_job(make_job("aaaaaaaaaa", "digits-mlp", v1::JOB_STATE_SUCCEEDED));
  EXPECT_THAT(offered({"list", "--experiment", ""}), ElementsAre("digits"));
  EXPECT_THAT(offered({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(offered({"drill", "@last", "p"}), ElementsAre("preempt", "partition"));
  v1::Node node;
  node.set_name("gpu-3");
  server_.put_node(node);
  EXPECT_THAT(offered({"nodes", ""}), ElementsAre("drain", "undrain"));
  EXPECT_THAT(offered({"nodes", "drain", "g"}), ElementsAre("gpu-3"));
}

TEST_F(CompletionTest, FilesAreLeftToTheShell) {
  EXPECT_THAT(offered({"submit", ""}), ElementsAre(":files"));
  EXPECT_THAT(offered({"up", "--data-dir", ""}), ElementsAre(":files"));
}

TEST_F(CompletionTest, DottedKeysOfAJobFile) {
  EXPECT_THAT(offered({"submit", "x.yaml", "--trainer.max_ep"}),
              ElementsAre("--trainer.max_epochs="));
  EXPECT_THAT(offered({"submit", "--tr"}), ElementsAre("--trainer."));
  EXPECT_THAT(offered({"run", "--job.reso"}), ElementsAre("--job.resources."));
  EXPECT_THAT(offered({"run", "--job.resources.dev"}), ElementsAre("--job.resources.devices="));
  EXPECT_THAT(offered({"list", "--tr"}), IsEmpty());
}

TEST_F(CompletionTest, ServerThatIsGoneOffersWhatIsKnownWithoutIt) {
  server_.shut_down();
  EXPECT_THAT(offered({"status", ""}), ElementsAre("@last"));
  EXPECT_THAT(offered({"--server", "127.0.0.1:1", "metrics", "x", ""}), IsEmpty());
}

TEST_F(CompletionTest, NamesThatAShellWouldMisreadAreLeftOut) {
  server_.put_job(make_job("aaaaaaaaaa", "two words", v1::JOB_STATE_SUCCEEDED));
  server_.put_job(make_job("bbbbbbbbbb", "esc\x1b[2J", v1::JOB_STATE_SUCCEEDED));
  EXPECT_THAT(offered({"status", ""}), ElementsAre("@last", "bbbbbbbbbb", "aaaaaaaaaa"));
}

TEST_F(CompletionTest, ScriptsCallTheHiddenCommand) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome script = run({"completion", shell});
    EXPECT_EQ(script.code, 0);
    EXPECT_THAT(script.out, HasSubstr("__complete --"));
  }
  EXPECT_EQ(run({"completion", "tcsh"}).code, 2);
}

}  // namespace
}  // namespace lctl::cli
