#include "storage/sqlite/database.h"

#include <atomic>
#include <latch>
#include <stdexcept>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/no_sync.h"
#include "storage/testing/temp_folder.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    Connection connection(file(), Connection::Mode::kWrite, {});
    connection.execute("CREATE TABLE t (value INTEGER PRIMARY KEY, bytes BLOB) STRICT");
  }

  std::filesystem::path file() const { return folder_.path() / "test.db"; }
  std::unique_ptr<Database> open(Connection::Limits limits = {}) {
    return *Database::open({.file = file(), .limits = limits});
  }
  static Writer::Change insert(std::int64_t value, std::size_t bytes = 0) {
    return [=](Connection& connection) -> absl::Status {
      connection.query("INSERT INTO t (value, bytes) VALUES (?1, ?2)")
          .bind(value, Blob{std::string(bytes, 'x')})
          .run();
      return absl::OkStatus();
    };
  }
  static std::vector<std::int64_t> values(const Database& database) {
    return *database.read([](Connection& connection) -> absl::StatusOr<std::vector<std::int64_t>> {
      std::vector<std::int64_t> found;
      Query query = connection.query("SELECT value FROM t ORDER BY value");
      while (query.step()) found.push_back(query.integer(0));
      return found;
    });
  }

  TempFolder folder_;
};

TEST_F(DatabaseTest, ReadSeesWhatWasAcknowledged) {
  const auto database = open();
  ASSERT_TRUE(database->write(insert(1)).ok());
  EXPECT_THAT(values(*database), ElementsAre(1));
}

TEST_F(DatabaseTest, EveryAcknowledgedChangeIsSynced) {
  const auto database = open();
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::int64_t before = syncs_asked();
    ASSERT_TRUE(database->write(insert(i)).ok());
    EXPECT_GT(syncs_asked(), before);
  }
}

TEST_F(DatabaseTest, FailedChangeLeavesNoTraceAndTheOthersStay) {
  const auto database = open();
  const std::vector<Writer::Change> changes = {
      insert(1),
      [](Connection& connection) -> absl::Status {
        connection.query("INSERT INTO t (value) VALUES (100)").run();
        return absl::NotFoundError("changed its mind");
      },
      [](Connection& connection) -> absl::Status {
        connection.query("INSERT INTO t (value) VALUES (101)").run();
        throw std::runtime_error("thrown");
      },
      insert(1),  // breaks the primary key
      insert(2),
  };
  const std::vector<absl::Status> results = database->write_all(changes);
  EXPECT_TRUE(results[0].ok());
  EXPECT_EQ(results[1], absl::NotFoundError("changed its mind"));
  EXPECT_EQ(results[2].code(), absl::StatusCode::kInternal);
  EXPECT_EQ(results[3].code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(results[4].ok());
  EXPECT_THAT(values(*database), ElementsAre(1, 2));
}

TEST_F(DatabaseTest, SingleFailedChangeIsUndone) {
  const auto database = open();
  const absl::Status status = database->write([](Connection& connection) -> absl::Status {
    connection.query("INSERT INTO t (value) VALUES (100)").run();
    return absl::AbortedError("no");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(values(*database), ElementsAre());
}

TEST_F(DatabaseTest, ChangesOfManyThreadsShareTransactions) {
  const auto database = open();
  constexpr int kThreads = 8;
  // Holds the writer until all other threads have handed their change in.
  std::latch arrived(kThreads);
  std::thread first([&] {
    EXPECT_TRUE(database
                    ->write([&](Connection&) -> absl::Status {
                      arrived.wait();
                      return absl::OkStatus();
                    })
                    .ok());
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      arrived.count_down();
      EXPECT_TRUE(database->write(insert(i)).ok());
    });
  }
  first.join();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(values(*database).size(), std::size_t{kThreads});
}

TEST_F(DatabaseTest, FullDatabaseFailsTheLargeChangeAndNotTheSmall) {
  const auto database = open({.max_database_bytes = 256 << 10});
  const std::vector<Writer::Change> changes = {insert(1), insert(2, 10 << 20), insert(3)};
  const std::vector<absl::Status> results = database->write_all(changes);
  EXPECT_TRUE(results[0].ok()) << results[0];
  EXPECT_EQ(results[1].code(), absl::StatusCode::kResourceExhausted) << results[1];
  EXPECT_THAT(std::string(results[1].message()), HasSubstr("free space"));
  EXPECT_TRUE(results[2].ok()) << results[2];
  EXPECT_THAT(values(*database), ElementsAre(1, 3));
}

TEST_F(DatabaseTest, LockedByAnotherProgramIsUnavailableAndPasses) {
  const auto database = open({.busy_timeout_ms = 20});
  auto other = std::make_unique<SQLite::Database>(file().string(), SQLite::OPEN_READWRITE);
  other->exec("BEGIN IMMEDIATE");
  const absl::Status status = database->write(insert(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  other.reset();
  EXPECT_TRUE(database->write(insert(1)).ok());
}

TEST_F(DatabaseTest, ReadersCannotWrite) {
  const auto database = open();
  EXPECT_EQ(database->read(insert(1)).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(DatabaseTest, ReadIsOneSnapshot) {
  const auto database = open();
  const absl::Status status = database->read([&](Connection& connection) -> absl::Status {
    const auto count = [&] {
      Query query = connection.query("SELECT count(*) FROM t");
      query.step();
      return query.integer(0);
    };
    EXPECT_EQ(count(), 0);
    std::thread([&] { EXPECT_TRUE(database->write(insert(1)).ok()); }).join();
    EXPECT_EQ(count(), 0);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(values(*database), ElementsAre(1));
}

TEST_F(DatabaseTest, FileThatIsNoDatabaseIsDataLoss) {
  const std::filesystem::path path = folder_.path() / "other.db";
  std::unique_ptr<FILE, int (*)(FILE*)> out(fopen(path.c_str(), "w"), fclose);
  for (int i = 0; i < 1000; ++i) fputs("this is not a database\n", out.get());
  out.reset();
  const absl::Status status = Database::open({.file = path}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

}  // namespace
}  // namespace lctl::storage
