// One connection to the database and the prepared statements that it keeps.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_map>

struct sqlite3_stmt;

namespace lctl::storage {

// Bytes to bind to a BLOB column (a std::string_view is bound as TEXT).
struct Blob {
  std::string_view bytes;
};

// One use of a prepared statement: bind, then step through its rows. The destructor makes the
// statement ready for its next use. What text() and blob() return lives until the next step().
// Errors: SQLite::Exception. Thread rule: caller locks, as for its Connection.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  // Binds ?1, ?2, … : integers, enums and bool, double (NaN becomes NULL), text, Blob, and nullopt
  // or an empty optional for NULL. Values are copied.
  template <typename... Values>
  Query& bind(const Values&... values) {
    int position = 0;
    (bind_one(++position, values), ...);
    return *this;
  }

  // Moves to the next row; false when there is none.
  bool step();

  // For statements without rows. Returns the number of rows that it changed.
  std::int64_t run();

  std::int64_t integer(int column) const;
  template <typename Enum>
  Enum enumeration(int column) const {
    return static_cast<Enum>(integer(column));
  }
  int small(int column) const { return static_cast<int>(integer(column)); }
  std::uint64_t offset(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  double real(int column) const;  // NaN for NULL
  std::string_view text(int column) const;
  std::string_view blob(int column) const;
  bool is_null(int column) const;

 private:
  template <typename Value>
  void bind_one(int position, const Value& value) {
    if constexpr (std::is_same_v<Value, std::nullopt_t>) {
      bind_null(position);
    } else if constexpr (std::is_same_v<Value, Blob>) {
      bind_blob(position, value.bytes);
    } else if constexpr (std::is_same_v<Value, std::optional<std::int64_t>>) {
      value ? bind_integer(position, *value) : bind_null(position);
    } else if constexpr (std::is_floating_point_v<Value>) {
      bind_real(position, value);
    } else if constexpr (std::is_integral_v<Value> || std::is_enum_v<Value>) {
      bind_integer(position, static_cast<std::int64_t>(value));
    } else {
      bind_text(position, std::string_view(value));
    }
  }
  void bind_null(int position);
  void bind_integer(int position, std::int64_t value);
  void bind_real(int position, double value);
  void bind_text(int position, std::string_view value);
  void bind_blob(int position, std::string_view value);
  void check(int code) const;

  sqlite3_stmt* statement_;
};

// Errors: SQLite::Exception. Thread rule: caller locks.
class Connection {
 public:
  enum class Mode { kWrite, kRead };

  struct Limits {
    std::int64_t max_database_bytes = 0;  // 0 = as the disk allows
    int busy_timeout_ms = 5'000;          // how long to wait for another program's lock
  };

  // kWrite creates the file when it is absent, switches it to WAL and syncs every commit. kRead can
  // change nothing.
  Connection(const std::filesystem::path& file, Mode mode, Limits limits);
  ~Connection();

  // A prepared statement for this text, kept for the life of the connection. The text must be a
  // string literal (its address is its name), and only one use of it may be alive at a time.
  template <std::size_t size>
  Query query(const char (&sql)[size]) {
    return Query(prepared(sql));
  }

  // For statements that are used once and have no rows.
  void execute(const char* sql) { database_.exec(sql); }

  // False inside BEGIN…COMMIT; true again also when an error has ended the transaction.
  bool in_autocommit() const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  sqlite3_stmt* prepared(const char* sql);

  SQLite::Database database_;
  // After database_, so that statements end first.
  std::unordered_map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

}  // namespace lctl::storage
