// Stores that earlier versions wrote open with this one, and all that was in them can be read.
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

#include <fstream>

#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/blobs/sha256.h"
#include "storage/maintenance/maintenance.h"
#include "storage/metrics/point_block.h"
#include "storage/schema/migrations.h"
#include "storage/search/filter_parsing.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::SizeIs;

constexpr char kContent[] = "abcdefgh";  // of the checkpoint, in chunks of 4

// A store as a program of an earlier schema would have left it: one job with all that a job can
// have. Columns are named, so that later migrations do not change what is written here.
class OldStore {
 public:
  OldStore(const fs::path& dir, int schema, const Clock& clock) : dir_(dir), schema_(schema) {
    fs::create_directories(dir);
    const fs::path file = dir / "lctl.db";
    EXPECT_TRUE(migrate(file, clock, migrations().first(static_cast<std::size_t>(schema))).ok());
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA foreign_keys = ON");
    fill_job(database);
    fill_points(database);
    fill_checkpoint(database);
    if (schema >= 5) fill_search(database);
  }

 private:
  static void insert(SQLite::Database& database, const char* sql, const std::string& blob) {
    SQLite::Statement row(database, sql);
    row.bind(1, blob.data(), static_cast<int>(blob.size()));
    row.exec();
  }

  static void fill_job(SQLite::Database& database) {
    database.exec(
        "INSERT INTO jobs (number, id, name, experiment, state, attempt, restarts, reason,"
        " submitted_us, started_us, finished_us, submitted_by) VALUES (1, 'aaaaaaaaaa', 'digits',"
        " 'old', 6, 2, 1, 'it failed', 10, 20, 30, 'me@here')");
    v1::JobSpec spec;
    spec.set_name("digits");
    spec.set_experiment("old");
    spec.set_config_yaml("optimizer: {init_args: {lr: 0.5}}\n");
    (*spec.mutable_tags())["team"] = "vision";
    insert(database, "INSERT INTO job_specs (job, spec) VALUES (1, ?)", spec.SerializeAsString());
    v1::Progress progress;
    progress.set_global_step(99);
    insert(database, "INSERT INTO job_progress (job, progress) VALUES (1, ?)",
           progress.SerializeAsString());
    v1::RankStatus rank;
    rank.set_node_name("gpu-1");
    database.exec(
        "INSERT INTO job_hyperparameters (job, yaml) VALUES (1, 'hidden: 32');"
        "INSERT INTO transitions (job, ordinal, time_us, from_state, to_state, attempt, reason)"
        " VALUES (1, 1, 10, 0, 1, 0, 'submitted'), (1, 2, 30, 3, 6, 2, 'it failed');"
        "INSERT INTO text_chunks (job, attempt, rank, kind, offset, time_us, text)"
        " VALUES (1, 2, 0, 2, 0, 5, x'68656c6c6f');"
        "INSERT INTO streams (job, attempt, rank, kind, committed) VALUES (1, 2, 0, 2, 5),"
        " (1, 2, 0, 1, 5000);"
        "INSERT INTO nodes (id, name, address, version, boot_id, last_seen_us)"
        " VALUES ('n', 'gpu-1', '10.0.0.1', '0.1', 'b', 1)");
    database.exec(
        "INSERT INTO attempts (job, number, started_us, finished_us, outcome, reason,"
        " resumed_from, resumed_at_step) VALUES (1, 2, 20, 30, 'failed', 'why', NULL, 0)");
    insert(database, "INSERT INTO ranks (job, attempt, rank, status) VALUES (1, 2, 0, ?)",
           rank.SerializeAsString());
  }

  // Steps 0 to 2999 of attempt 2, with value = step / 2.
  void fill_points(SQLite::Database& database) const {
    database.exec("INSERT INTO series (id, job, key) VALUES (1, 1, 'train/loss')");
    if (schema_ < 3) {
      database.exec(
          "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)"
          " INSERT INTO points (series, step, attempt, spool_offset, ordinal, epoch, time_us,"
          " value) SELECT 1, i, 2, 100 * i, 0, i / 10, 1000 + i, i * 0.5 FROM n");
      return;
    }
    std::vector<BlockPoint> points;
    for (std::int64_t i = 0; i < 3000; ++i) {
      points.push_back({.step = i,
                        .epoch = i / 10,
                        .time_us = 1000 + i,
                        .value = static_cast<double>(i) * 0.5,
                        .offset = 100 * static_cast<std::uint64_t>(i)});
    }
    for (const PackedBlock& block : pack_all(points)) {
      SQLite::Statement row(database,
                            "INSERT INTO point_blocks (series, attempt, first_offset, last_offset,"
                            " first_step, last_step, points, summary, data)"
                            " VALUES (1, 2, ?, ?, ?, ?, ?, ?, ?)");
      row.bind(1, static_cast<std::int64_t>(block.first_offset));
      row.bind(2, static_cast<std::int64_t>(block.last_offset));
      row.bind(3, block.first_step);
      row.bind(4, block.last_step);
      row.bind(5, block.points);
      row.bind(6, block.summary.data(), static_cast<int>(block.summary.size()));
      row.bind(7, block.data.data(), static_cast<int>(block.data.size()));
      row.exec();
    }
  }

  void fill_checkpoint(SQLite::Database& database) const {
    v1::CheckpointWritten written;
    written.set_file("5.ckpt");
    written.set_name("last.ckpt");
    written.set_size(8);
    written.set_global_step(5);
    SQLite::Statement row(
        database,
        "INSERT INTO checkpoints (number, id, job, attempt, rank, kind, name, file, spool_offset,"
        " size, sha256, time_us, stored_bytes, written, removed, dropped_us)"
        " VALUES (1, 'cccccccccccc', 1, 2, 0, 1, 'last.ckpt', '5.ckpt', 500, 8, ?, 7, 8, ?, 0,"
        " NULL)");
    const std::string hash = sha256_of(kContent);
    const std::string bytes = written.SerializeAsString();
    row.bind(1, hash.data(), static_cast<int>(hash.size()));
    row.bind(2, bytes.data(), static_cast<int>(bytes.size()));
    row.exec();
    for (int i = 0; i < 2; ++i) {
      const std::string chunk(kContent + 4 * i, 4);
      insert(database,
             fmt::format("INSERT INTO manifest_chunks (checkpoint, file_offset, sha256, size)"
                         " VALUES (1, {}, ?, 4)",
                         4 * i)
                 .c_str(),
             sha256_of(chunk));
      const std::string hex = hex_sha256(chunk);
      fs::create_directories(dir_ / "blobs" / hex.substr(0, 2));
      std::ofstream(dir_ / "blobs" / hex.substr(0, 2) / hex.substr(2)) << chunk;
    }
  }

  // From migration 5 on programs keep these themselves; before, the migration fills them.
  static void fill_search(SQLite::Database& database) {
    database.exec(
        "INSERT INTO job_parameters (job, source, key, text, number) VALUES"
        " (1, 0, 'hidden', '32', 32), (1, 1, 'optimizer.init_args.lr', '0.5', 0.5);"
        "INSERT INTO job_tags (job, key, value) VALUES (1, 'team', 'vision');"
        "INSERT INTO job_texts (rowid, name, experiment, tags, note)"
        " VALUES (1, 'digits', 'old', 'team vision', '')");
  }

  const fs::path& dir_;
  const int schema_;
};

class UpgradeTest : public testing::TestWithParam<int> {
 protected:
  TempFolder folder_;
  ManualClock clock_;
};

TEST_P(UpgradeTest, AllOfAnOlderStoreCanBeReadAndGoesOn) {
  const fs::path dir = folder_.path() / "store";
  {
    const OldStore old(dir, GetParam(), clock_);
  }
  auto opened = Store::open({.dir = dir, .clock = clock_});
  ASSERT_EQ(text_of(opened.status()), "OK");
  Store& store = **opened;
  const JobId id("aaaaaaaaaa");

  const v1::Job job = *store.jobs().get(id);
  EXPECT_EQ(job.spec().name(), "digits");
  EXPECT_EQ(job.spec().config_yaml(), "optimizer: {init_args: {lr: 0.5}}\n");
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.reason(), "it failed");
  EXPECT_EQ(job.progress().global_step(), 99);
  EXPECT_EQ(job.tags().at("team"), "vision");
  ASSERT_EQ(job.ranks_size(), 1);
  EXPECT_EQ(job.ranks(0).node_name(), "gpu-1");
  EXPECT_EQ(*store.jobs().hyperparameters(id), "hidden: 32");
  EXPECT_THAT(*store.jobs().transitions(id), SizeIs(2));
  EXPECT_THAT(*store.jobs().attempts(id), SizeIs(1));
  EXPECT_EQ(store.jobs().nodes()->at(0).name, "gpu-1");

  const auto points = *store.metrics().read({.job = id, .key = "train/loss"});
  ASSERT_EQ(points.size(), 3000u);
  EXPECT_EQ(points[2999].step, 2999);
  EXPECT_EQ(points[2999].value, 1499.5);
  EXPECT_EQ(points[2999].epoch, 299);
  EXPECT_EQ(points[2999].time_us, 3999);
  EXPECT_EQ(store.events().read_text({.job = id})->chunks.at(0).text, "hello");
  EXPECT_EQ(*store.events().committed_offset({{id, 2}, 0, StreamKind::kEvents}), 5000u);
  EXPECT_EQ(*download(store, CheckpointId("cccccccccccc")), kContent);

  for (const char* where : {"tags.team = 'vision'", "hparams.hidden = 32", "params.lr = 0.5",
                            "metrics.`train/loss` > 1499"}) {
    const auto found = store.jobs().list({.where = *parse_filter(where)});
    ASSERT_EQ(text_of(found.status()), "OK") << where;
    EXPECT_THAT(*found, SizeIs(1)) << where;
  }
  EXPECT_THAT(*store.jobs().list({.search = "vis"}), SizeIs(1));

  const CheckReport report =
      *store.maintenance().check(/*deep=*/true, [](const WorkProgress&) { return true; });
  EXPECT_THAT(report.findings, ElementsAre());
  EXPECT_EQ(report.chunks, 2);

  // And it is written to as any other.
  start_attempt(store, id, 3, "cccccccccccc");
  EXPECT_THAT(steps_of(store, id), SizeIs(5)) << "rewound to the checkpoint";
  log_steps(store, {id, 3}, 5, 10);
  EXPECT_THAT(steps_of(store, id), SizeIs(15));
}

// Schema N + 1 is tried by itself as soon as there is one.
INSTANTIATE_TEST_SUITE_P(EverySchema, UpgradeTest,
                         testing::Range(1, static_cast<int>(migrations().size()) + 1));

}  // namespace
}  // namespace lctl::storage
