// The limit of bench/ingest: rows into SQLite, a thousand a transaction, as durable as the store's.
//
// usage: sqlite_insert FILE ROWS     prints seconds
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

#include "base/clock.h"

namespace {

constexpr int kRowsOfATransaction = 1'000;

void insert(SQLite::Database& database, int rows) {
  SQLite::Statement row(database, "INSERT INTO points VALUES (?, ?, ?, ?)");
  for (int step = 0; step < rows;) {
    SQLite::Transaction transaction(database);
    for (int i = 0; i < kRowsOfATransaction && step < rows; ++i, ++step) {
      row.bind(1, 1);
      row.bind(2, step);
      row.bind(3, std::int64_t{1'700'000'000'000'000} + step);
      row.bind(4, 1.0 / (1 + step));
      row.exec();
      row.reset();
    }
    transaction.commit();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: sqlite_insert FILE ROWS\n");
    return 2;
  }
  try {
    SQLite::Database database(argv[1], SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = FULL");
    database.exec(
        "CREATE TABLE points (series INTEGER, step INTEGER, time_us INTEGER, value REAL,"
        " PRIMARY KEY (series, step)) STRICT, WITHOUT ROWID");
    const lctl::MonotonicTime start = lctl::system_clock().monotonic_now();
    insert(database, std::stoi(argv[2]));
    const std::chrono::duration<double> took = lctl::system_clock().monotonic_now() - start;
    std::printf("%.6f\n", took.count());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sqlite_insert: %s\n", error.what());
    return 1;
  }
}
