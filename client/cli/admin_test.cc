// lctl admin against the fake server: what it prints, and its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class AdminTest : public ProgramTest {};

TEST_F(AdminTest, BackupSaysWhereItIsAndWhatItHas) {
  const Outcome outcome = run({"admin", "backup", "/backups", "--keep", "3"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("/backups/20260131T140509Z\n"));
  EXPECT_THAT(outcome.out, HasSubstr("2: 20.0 MiB in 5 chunks, 4 of them new (4 linked, 0 copied"));
  EXPECT_THAT(outcome.out, HasSubstr("removed      20250101T000000Z"));
  EXPECT_THAT(outcome.err, IsEmpty()) << "no progress where there is no terminal";
}

TEST_F(AdminTest, ProgressIsShownOnATerminal) {
  look_.terminal = true;
  EXPECT_THAT(run({"admin", "backup", "/backups"}).err, HasSubstr("chunks  2 of 5"));
  EXPECT_THAT(run({"admin", "backup", "/backups", "--json"}).err, IsEmpty());
}

TEST_F(AdminTest, BackupOfAStoreThatHasLostDataIsMadeAndFails) {
  server_.put_finding("checkpoint abc (last.ckpt): chunk file x is missing");
  const Outcome outcome = run({"admin", "backup", "/backups", "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(json::parse(outcome.out)["folder"], "/backups/20260131T140509Z");
  EXPECT_EQ(json::parse(outcome.out)["missing_chunks"], 1);
  EXPECT_THAT(outcome.err, HasSubstr("last.ckpt"));
  EXPECT_THAT(outcome.err, HasSubstr("the backup has all else"));
}

TEST_F(AdminTest, RefusedBackupSaysWhy) {
  const Outcome outcome = run({"admin", "backup", "/full"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("No space left"));
  EXPECT_EQ(run({"admin", "backup"}).code, 2);
  EXPECT_EQ(run({"admin", "backup", "/backups", "--keep", "0"}).code, 2);
}

TEST_F(AdminTest, SoundStoreIsATableAndExitCodeZero) {
  const Outcome outcome = run({"admin", "check"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("their chunks              5, 20.0 MiB"));
  EXPECT_THAT(outcome.out, HasSubstr("The store is sound"));
  EXPECT_EQ(server_.calls("Check"), 1);
  EXPECT_EQ(run({"admin", "check", "--deep"}).code, 0);
  EXPECT_EQ(server_.calls("Check deep"), 1);
}

TEST_F(AdminTest, DamageIsToldWithWhatToDoAndFails) {
  server_.put_finding("checkpoint abc (last.ckpt): chunk file x is missing");
  const Outcome outcome = run({"admin", "check"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("one thing is wrong in the store:\n  checkpoint abc"));
  EXPECT_THAT(outcome.err, HasSubstr("lctl admin restore"));
  const Outcome machine = run({"admin", "check", "--json"});
  EXPECT_EQ(machine.code, 1);
  EXPECT_EQ(json::parse(machine.out)["ok"], false);
  EXPECT_EQ(json::parse(machine.out)["findings"].size(), 1u);
}

TEST_F(AdminTest, VacuumAndGarbageCollectionTellWhatTheyFreed) {
  EXPECT_EQ(run({"admin", "vacuum"}).out, "The database has 10.0 MiB; it had 30.0 MiB.\n");
  EXPECT_EQ(json::parse(run({"admin", "vacuum", "--json"}).out)["bytes_after"], 10 << 20);
  EXPECT_THAT(run({"admin", "gc", "--dry-run"}).out, HasSubstr("WOULD BE FREED"));
  EXPECT_EQ(server_.calls("CollectGarbage"), 0);
  EXPECT_THAT(run({"admin", "gc"}).out, HasSubstr("12.0 MiB"));
  EXPECT_EQ(server_.calls("CollectGarbage"), 1);
  EXPECT_EQ(json::parse(run({"admin", "gc", "--json"}).out)["dropped_chunks"], 3);
}

TEST_F(AdminTest, GarbageCollectionListsWhatTheRulesTake) {
  EXPECT_THAT(run({"admin", "gc", "--dry-run"}).out, HasSubstr("logs              digits-mlp"));
  const json removals = json::parse(run({"admin", "gc", "--json"}).out)["removals"];
  ASSERT_EQ(removals.size(), 1u);
  EXPECT_EQ(removals[0]["what"], "logs");
}

TEST_F(AdminTest, RmAsksAndDeletesOnlyWhatHasEnded) {
  server_.put_job(make_job("aaaaaaaaaa", "done", v1::JOB_STATE_SUCCEEDED));
  server_.put_job(make_job("bbbbbbbbbb", "busy", v1::JOB_STATE_RUNNING));
  input_ = "n\n";
  EXPECT_EQ(run({"rm", "done"}).code, 1);
  EXPECT_EQ(run({"rm", "--yes", "done", "busy"}).code, 1);
  EXPECT_THAT(run({"rm", "--yes", "busy"}).err, HasSubstr("`lctl stop bbbbbbbbbb` ends it"));
  EXPECT_EQ(server_.calls("DeleteJob"), 0);
  input_ = "y\n";
  const Outcome outcome = run({"rm", "done"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("This cannot be undone. [y/N]"));
  EXPECT_THAT(outcome.out, HasSubstr("deleted done (aaaaaaaaaa); 12.0 MiB"));
  EXPECT_EQ(server_.job("done").id(), "");
}

TEST_F(AdminTest, RestoreNeedsTheServersProgram) {
  variables_["LCTL_BIN_DIR"] = "/nonexistent";
  const Outcome outcome = run({"admin", "restore", "/backups", "--data-dir", "/new"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cannot find lctl-server"));
  EXPECT_EQ(run({"admin", "restore", "/backups"}).code, 2) << "where to is not guessed";
}

}  // namespace
}  // namespace lctl::cli
