// What migration 3 does beside its SQL.
#pragma once

namespace SQLite {
class Database;
}

namespace lctl::storage {

// Fills point_blocks from `points`, the table of one row a point that came before it. Inside the
// migration's transaction. Errors: SQLite::Exception.
void pack_points(SQLite::Database& database);

}  // namespace lctl::storage
