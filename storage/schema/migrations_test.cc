#include "storage/schema/migrations.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/metrics/point_block.h"
#include "storage/testing/temp_folder.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

class MigrationsTest : public testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "lctl.db"; }
  absl::Status migrate_to(std::span<const Migration> known) {
    return migrate(file(), system_clock(), known);
  }
  std::string ask(const char* sql) {
    SQLite::Database database(file().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    return database.execAndGet(sql).getString();
  }

  TempFolder folder_;
};

constexpr Migration kFirst[] = {{1, "0001_a", "CREATE TABLE a (x INTEGER) STRICT;"}};
constexpr Migration kSecond[] = {kFirst[0], {2, "0002_b", "CREATE TABLE b (x INTEGER) STRICT;"}};
constexpr Migration kBroken[] = {
    kFirst[0], {2, "0002_b", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE nonsense;"}};

TEST_F(MigrationsTest, NumbersAreWithoutGaps) {
  int expected = 1;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.number, expected++);
  EXPECT_GT(expected, 1);
}

TEST_F(MigrationsTest, EmptyFileGetsTheNewestSchemaAndASecondRunChangesNothing) {
  ASSERT_TRUE(migrate(file(), system_clock()).ok());
  ASSERT_TRUE(migrate(file(), system_clock()).ok());
  EXPECT_EQ(ask("SELECT max(version) FROM schema_version"),
            std::to_string(migrations().back().number));
  EXPECT_EQ(ask("SELECT count(*) FROM schema_version"), std::to_string(migrations().size()));
  EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(ask("SELECT count(*) FROM jobs"), "0");
}

TEST_F(MigrationsTest, EveryTableIsStrict) {
  ASSERT_TRUE(migrate(file(), system_clock()).ok());
  EXPECT_EQ(ask("SELECT coalesce(group_concat(name), '') FROM pragma_table_list"
                " WHERE schema = 'main' AND type = 'table' AND strict = 0"
                " AND name NOT LIKE 'sqlite_%'"),
            "");
}

TEST_F(MigrationsTest, OldFileGetsOnlyWhatItLacks) {
  ASSERT_TRUE(migrate_to(kFirst).ok());
  ask("INSERT INTO a VALUES (7) RETURNING x");
  ASSERT_TRUE(migrate_to(kSecond).ok());
  EXPECT_EQ(ask("SELECT x FROM a"), "7");
  EXPECT_EQ(ask("SELECT group_concat(name) FROM schema_version"), "0001_a,0002_b");
}

TEST_F(MigrationsTest, NewerFileIsRefusedAndLeftAlone) {
  ASSERT_TRUE(migrate_to(kSecond).ok());
  const absl::Status status = migrate_to(kFirst);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(),
              HasSubstr("schema version 2, this program knows versions up to 1"));
  EXPECT_EQ(ask("SELECT max(version) FROM schema_version"), "2");
}

TEST_F(MigrationsTest, FailingMigrationLeavesThePreviousSchema) {
  EXPECT_FALSE(migrate_to(kBroken).ok());
  EXPECT_EQ(ask("SELECT max(version) FROM schema_version"), "1");
  EXPECT_EQ(ask("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), "0");
  EXPECT_TRUE(migrate_to(kSecond).ok());
}

TEST_F(MigrationsTest, AnotherProgramsDatabaseIsRefused) {
  SQLite::Database(file().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE theirs (x)");
  const absl::Status status = migrate(file(), system_clock());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("not a store of lctl"));
  EXPECT_EQ(ask("SELECT count(*) FROM sqlite_schema"), "1");
}

TEST_F(MigrationsTest, PointsOfOneRowEachBecomeBlocks) {
  ASSERT_TRUE(migrate_to(migrations().first(2)).ok());
  {
    SQLite::Database old(file().string(), SQLite::OPEN_READWRITE);
    old.exec("INSERT INTO jobs VALUES (1, 'aaaaaaaaaa', 'a', 'e', 3, 2, 0, '', 0, 0, 0, '')");
    old.exec("INSERT INTO series VALUES (1, 1, 'train/loss'), (2, 1, 'val/loss')");
    // Attempt 1 went to step 2999, attempt 2 began again at 1000; one NaN.
    old.exec(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)"
        " INSERT INTO points SELECT 1, i, 1, 100 * i, 0, i / 10, 1000 + i,"
        " iif(i = 5, NULL, i * 0.5) FROM n");
    old.exec("INSERT INTO points VALUES (1, 1000, 2, 100, 0, 100, 9000, -7.25)");
    old.exec("INSERT INTO points VALUES (2, 3, 1, 350, 1, 0, 1003, 0.125)");
  }
  ASSERT_TRUE(migrate(file(), system_clock()).ok());
  EXPECT_EQ(ask("SELECT count(*) FROM sqlite_schema WHERE name = 'points'"), "0");
  EXPECT_EQ(ask("SELECT group_concat(series || ':' || attempt || ':' || first_offset || ':' ||"
                " points, ' ') FROM point_blocks"),
            "1:1:0:2048 1:1:204800:952 1:2:100:1 2:1:350:1");

  SQLite::Database migrated(file().string(), SQLite::OPEN_READWRITE);
  SQLite::Statement row(migrated, "SELECT points, data FROM point_blocks");
  ASSERT_TRUE(row.executeStep());
  const auto points = unpack(row.getColumn(1).getString(), row.getColumn(0).getInt64());
  ASSERT_TRUE(points.ok());
  EXPECT_TRUE(std::isnan((*points)[5].value));
  EXPECT_EQ((*points)[2047].step, 2047);
  EXPECT_EQ((*points)[2047].epoch, 204);
  EXPECT_EQ((*points)[2047].time_us, 3047);
  EXPECT_EQ((*points)[2047].value, 1023.5);
  EXPECT_EQ((*points)[2047].offset, 204700U);
}

TEST_F(MigrationsTest, JobsOfAnOlderStoreCanBeSearched) {
  ASSERT_TRUE(migrate_to(migrations().first(4)).ok());
  {
    SQLite::Database old(file().string(), SQLite::OPEN_READWRITE);
    old.exec(
        "INSERT INTO jobs VALUES (1, 'aaaaaaaaaa', 'digits-mlp', 'e', 5, 1, 0, '', 0, 0, 0, ''),"
        " (2, 'bbbbbbbbbb', 'broken', 'e', 5, 1, 0, '', 0, 0, 0, '')");
    v1::JobSpec spec;
    (*spec.mutable_tags())["team"] = "vision";
    spec.set_config_yaml("job: {name: x}\noptimizer: {init_args: {lr: 0.5}}\n");
    SQLite::Statement row(old, "INSERT INTO job_specs VALUES (1, ?), (2, x'FF')");
    const std::string bytes = spec.SerializeAsString();
    row.bind(1, bytes.data(), static_cast<int>(bytes.size()));
    row.exec();
    old.exec("INSERT INTO job_hyperparameters VALUES (1, 'hidden: 32')");
  }
  ASSERT_TRUE(migrate(file(), system_clock()).ok());
  EXPECT_EQ(ask("SELECT group_concat(job || source || ' ' || key || '=' || number, ', ')"
                " FROM job_parameters"),
            "10 hidden=32.0, 11 optimizer.init_args.lr=0.5");
  EXPECT_EQ(ask("SELECT group_concat(job || key || value) FROM job_tags"), "1teamvision");
  EXPECT_EQ(ask("SELECT group_concat(rowid) FROM job_texts WHERE job_texts MATCH 'vision'"), "1");
  EXPECT_EQ(ask("SELECT group_concat(rowid) FROM job_texts WHERE job_texts MATCH 'broken'"), "2");
  ask("DELETE FROM jobs WHERE number = 2 RETURNING number");
  EXPECT_EQ(ask("SELECT count(*) FROM job_texts"), "1");
  EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
}

TEST_F(MigrationsTest, ExperimentsOfJobsBecomeRows) {
  ASSERT_TRUE(migrate_to(migrations().first(5)).ok());
  {
    SQLite::Database old(file().string(), SQLite::OPEN_READWRITE);
    old.exec(
        "INSERT INTO jobs VALUES (1, 'aaaaaaaaaa', 'a', 'letters', 5, 1, 0, '', 70, 0, 0, ''),"
        " (2, 'bbbbbbbbbb', 'b', 'digits', 5, 1, 0, '', 80, 0, 0, ''),"
        " (3, 'cccccccccc', 'c', 'letters', 5, 1, 0, '', 90, 0, 0, '')");
  }
  ASSERT_TRUE(migrate(file(), system_clock()).ok());
  EXPECT_EQ(
      ask("SELECT group_concat(id || ':' || name || ':' || created_us, ' ') FROM experiments"),
      "0:Default:0 1:letters:70 2:digits:80");
  EXPECT_EQ(ask("SELECT sum(origin) + sum(deleted_us) FROM jobs"), "0");
}

}  // namespace
}  // namespace lctl::storage
