#include "storage/sqlite/database.h"

#include <fmt/format.h>

#include <exception>

#include "storage/sqlite/error.h"

namespace lctl::storage {
namespace {

absl::Status run_in_snapshot(Connection& connection, const std::string& name,
                             absl::FunctionRef<absl::Status(Connection&)> body) {
  absl::Status result;
  try {
    connection.query("BEGIN").run();
    result = body(connection);
  } catch (const SQLite::Exception& error) {
    result = status_of(error, name);
  } catch (const std::exception& error) {
    result = absl::InternalError(fmt::format("{}: {}", name, error.what()));
  }
  try {
    if (!connection.in_autocommit()) connection.query("ROLLBACK").run();
  } catch (const SQLite::Exception& error) {
    if (result.ok()) result = status_of(error, name);
  }
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::open(const Options& options) {
  std::string name = options.file.string();
  try {
    auto writing =
        std::make_unique<Connection>(options.file, Connection::Mode::kWrite, options.limits);
    std::vector<std::unique_ptr<Connection>> reading;
    for (int i = 0; i < options.readers; ++i) {
      reading.push_back(
          std::make_unique<Connection>(options.file, Connection::Mode::kRead, options.limits));
    }
    auto writer = std::make_unique<Writer>(std::move(writing), name);
    return std::unique_ptr<Database>(
        new Database(std::move(name), std::move(writer), std::move(reading)));
  } catch (const SQLite::Exception& error) {
    return status_of(error, name);
  }
}

Database::Database(std::string name, std::unique_ptr<Writer> writer,
                   std::vector<std::unique_ptr<Connection>> readers)
    : name_(std::move(name)), writer_(std::move(writer)), idle_readers_(std::move(readers)) {}

absl::Status Database::run_read(absl::FunctionRef<absl::Status(Connection&)> body) const {
  std::unique_ptr<Connection> connection;
  {
    std::unique_lock lock(mutex_);
    reader_returned_.wait(lock, [this] { return !idle_readers_.empty(); });
    connection = std::move(idle_readers_.back());
    idle_readers_.pop_back();
  }
  absl::Status result = run_in_snapshot(*connection, name_, body);
  {
    const std::lock_guard lock(mutex_);
    idle_readers_.push_back(std::move(connection));
  }
  reader_returned_.notify_one();
  return result;
}

}  // namespace lctl::storage
