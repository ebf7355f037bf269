// The database of a store: one writer thread and a few read-only connections.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/status.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/writer.h"

namespace lctl::storage {

// Bodies get a Connection inside a transaction and return absl::Status or absl::StatusOr<T>; SQL
// errors that they let through become a Status here. A body must not call read() or write() of the
// same database. Thread rule: internally locked.
class Database {
 public:
  struct Options {
    std::filesystem::path file;  // must exist, with its schema
    Connection::Limits limits;
    int readers = 4;  // reads that can run at the same time
  };

  static absl::StatusOr<std::unique_ptr<Database>> open(const Options& options);

  // A consistent snapshot that holds all that was acknowledged before the call.
  template <typename Body>
  auto read(Body&& body) const -> std::invoke_result_t<Body, Connection&> {
    return returning(
        [this](absl::FunctionRef<absl::Status(Connection&)> run) { return run_read(run); }, body);
  }

  // Returns when the change is durable (writer.h says when the body may be run twice).
  template <typename Body>
  auto write(Body&& body) -> std::invoke_result_t<Body, Connection&> {
    return returning([this](Writer::Change run) { return writer_->run(std::move(run)); }, body);
  }

  // Outside of any transaction, alone: Writer::run_alone().
  absl::Status write_alone(const Writer::Change& work) { return writer_->run_alone(work); }

  std::vector<absl::Status> write_all(std::span<const Writer::Change> changes) {
    return writer_->run_all(changes);
  }

  Writer::Counts counts() const { return writer_->counts(); }

  const std::string& name() const { return name_; }

 private:
  Database(std::string name, std::unique_ptr<Writer> writer,
           std::vector<std::unique_ptr<Connection>> readers);

  // Runs the body through `door`, and carries its value past the Status that the door returns.
  template <typename Door, typename Body>
  static auto returning(Door&& door, Body& body) -> std::invoke_result_t<Body&, Connection&> {
    using Result = std::invoke_result_t<Body&, Connection&>;
    if constexpr (std::is_same_v<Result, absl::Status>) {
      return door([&body](Connection& connection) -> absl::Status { return body(connection); });
    } else {
      std::optional<Result> result;
      const absl::Status status = door([&](Connection& connection) -> absl::Status {
        result.emplace(body(connection));
        return result->status();
      });
      if (!status.ok()) return status;
      return *std::move(result);
    }
  }

  absl::Status run_read(absl::FunctionRef<absl::Status(Connection&)> body) const;

  const std::string name_;
  const std::unique_ptr<Writer> writer_;

  mutable std::mutex mutex_;
  mutable std::condition_variable reader_returned_;
  // Guarded by mutex_: the connections that are not in use.
  mutable std::vector<std::unique_ptr<Connection>> idle_readers_;
};

}  // namespace lctl::storage
