#include "client/cli/source/working_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "client/cli/local_cluster/captured_output.h"

namespace lctl::cli {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class WorkingTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/treeXXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = fs::canonical(name);
    // Neither the user's nor the machine's settings.
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("HOME", folder_.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string git(std::vector<std::string> words) {
    std::vector<std::string> command = {
        "git", "-C", folder_.string(), "-c", "user.name=Anna", "-c", "user.email=anna@example.org"};
    command.insert(command.end(), words.begin(), words.end());
    const auto output = captured_output(command, /*show_errors=*/true, 1 << 20);
    EXPECT_TRUE(output.ok() && output->exit_code == 0) << words.front();
    return output.ok() ? output->text.substr(0, output->text.find('\n')) : "";
  }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void commit() {
    git({"init", "-q", "-b", "trunk"});
    write("model.yaml", "layers: 1\n");
    write("image.png", std::string("\x89PNG\0\1\2", 7));
    git({"add", "."});
    git({"commit", "-q", "-m", "first"});
  }

  fs::path folder_;
};

TEST_F(WorkingTreeTest, AFolderOutsideOfOneHasNone) {
  EXPECT_FALSE(read_working_tree(folder_).has_value());
  EXPECT_FALSE(read_working_tree(folder_ / "missing").has_value());
}

TEST_F(WorkingTreeTest, ACleanOneIsItsCommit) {
  commit();
  write("jobs/README", "");  // a folder below the root, and a file git does not know
  git({"remote", "add", "origin", "https://anna:secret@example.org/team/models.git"});
  const auto source = read_working_tree(folder_ / "jobs");
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->folder(), folder_);
  EXPECT_EQ(source->commit(), git({"rev-parse", "HEAD"}));
  EXPECT_EQ(source->branch(), "trunk");
  EXPECT_EQ(source->remote(), "https://example.org/team/models.git");
  EXPECT_FALSE(source->changed());
  EXPECT_THAT(source->diff(), IsEmpty());
  EXPECT_THAT(source->untracked(), ElementsAre("jobs/"));
}

TEST_F(WorkingTreeTest, TheDiffMakesTheChangesAgain) {
  commit();
  write("model.yaml", "layers: 2\n");
  write("image.png", std::string("\x89PNG\0\3\4\5", 8));
  write("new.yaml", "x: 1\n");
  git({"add", "new.yaml"});
  write("ignored.log", "");
  write(".gitignore", "*.log\n");
  const auto source = read_working_tree(folder_);
  ASSERT_TRUE(source.has_value());
  EXPECT_TRUE(source->changed());
  EXPECT_EQ(source->files_left_out(), 0);
  EXPECT_THAT(source->untracked(), ElementsAre(".gitignore"));

  git({"reset", "-q", "--hard"});
  EXPECT_EQ(read_working_tree(folder_)->diff(), "");
  write("changes.diff", source->diff());
  git({"apply", "changes.diff"});
  const auto read = [&](const char* name) {
    std::ifstream file(folder_ / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(read("model.yaml"), "layers: 2\n");
  EXPECT_EQ(read("image.png"), std::string("\x89PNG\0\3\4\5", 8));
  EXPECT_EQ(read("new.yaml"), "x: 1\n");
}

TEST_F(WorkingTreeTest, LargeFilesAreLeftOutAndTheOthersKept) {
  commit();
  write("weights [1].bin", "small");
  write("other.yaml", "x: 1\n");
  git({"add", "."});
  git({"commit", "-q", "-m", "second"});
  write("weights [1].bin", std::string((1 << 20) + 1, 'w'));
  write("other.yaml", "x: 2\n");
  const auto source = read_working_tree(folder_);
  EXPECT_TRUE(source->changed());
  EXPECT_EQ(source->files_left_out(), 1);
  EXPECT_THAT(source->diff(), HasSubstr("+x: 2"));
  EXPECT_THAT(source->diff(), Not(HasSubstr("weights")));
  write("other.yaml", "x: 1\n");
  EXPECT_EQ(read_working_tree(folder_)->diff(), "");
  EXPECT_TRUE(read_working_tree(folder_)->changed());
}

TEST_F(WorkingTreeTest, BeforeTheFirstCommitThereIsNoneAndNoDiff) {
  git({"init", "-q"});
  write("a", "");
  const auto source = read_working_tree(folder_);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->commit(), "");
  EXPECT_EQ(source->diff(), "");
  EXPECT_EQ(source->untracked_count(), 1);
}

TEST_F(WorkingTreeTest, ADetachedHeadHasNoBranch) {
  commit();
  git({"checkout", "-q", "--detach"});
  const auto source = read_working_tree(folder_);
  EXPECT_EQ(source->branch(), "");
  EXPECT_THAT(source->commit(), Not(IsEmpty()));
}

TEST_F(WorkingTreeTest, RunsNoProgramOfTheRepositorysOwn) {
  commit();
  const std::string mark = (folder_ / "ran").string();
  write("program", "#!/bin/sh\ntouch " + mark + "\n");
  fs::permissions(folder_ / "program", fs::perms::owner_all);
  const std::string program = (folder_ / "program").string();
  git({"config", "core.fsmonitor", program});
  git({"config", "diff.external", program});
  git({"config", "diff.yaml.textconv", program});
  write(".gitattributes", "*.yaml diff=yaml\n");
  write("model.yaml", "layers: 3\n");
  fs::remove(mark);
  EXPECT_THAT(read_working_tree(folder_)->diff(), HasSubstr("+layers: 3"));
  EXPECT_FALSE(fs::exists(mark));
}

TEST_F(WorkingTreeTest, NamesOfManyUntrackedFilesAreCounted) {
  commit();
  for (int i = 0; i < 150; ++i) write("run-" + std::to_string(i), "");
  for (int i = 0; i < 10; ++i) write("data/" + std::to_string(i), "");  // one, however many
  const auto source = read_working_tree(folder_);
  EXPECT_EQ(source->untracked_count(), 151);
  EXPECT_EQ(source->untracked(0), "data/");
  EXPECT_EQ(source->untracked_size(), 100);
}

TEST(WithoutPasswordTest, SecretsAreTakenOut) {
  EXPECT_EQ(without_password("https://anna:secret@example.org/a.git"), "https://example.org/a.git");
  EXPECT_EQ(without_password("https://token@example.org/a.git"), "https://example.org/a.git");
  EXPECT_EQ(without_password("https://a:b@c@example.org/d@e"), "https://example.org/d@e");
  EXPECT_EQ(without_password("ssh://git:secret@example.org/a"), "ssh://git@example.org/a");
  EXPECT_EQ(without_password("https://example.org/a@b"), "https://example.org/a@b");
  EXPECT_EQ(without_password("git@example.org:team/a.git"), "git@example.org:team/a.git");
  EXPECT_EQ(without_password("/srv/git/a.git"), "/srv/git/a.git");
  EXPECT_EQ(without_password(""), "");
}

TEST(FittingDiffTest, WholeFilesAreKept) {
  const std::string a = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+diff --git y\n";
  const std::string big = "diff --git a/b b/b\n+" + std::string(1000, 'b') + "\n";
  const std::string c = "diff --git a/c b/c\n+c\n";
  EXPECT_EQ(fitting_diff(a + big + c, 10'000).text, a + big + c);
  const FittingDiff fitting = fitting_diff(a + big + c, a.size() + c.size());
  EXPECT_EQ(fitting.text, a + c);
  EXPECT_EQ(fitting.files_left_out, 1);
  EXPECT_EQ(fitting_diff("", 10).files_left_out, 0);
}

}  // namespace
}  // namespace lctl::cli
