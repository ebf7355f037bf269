// What migration 5 does beside its SQL.
#pragma once

namespace SQLite {
class Database;
}

namespace lctl::storage {

// Fills job_parameters, job_tags and job_texts from the specs and hyper-parameters of the jobs that
// are there; a spec that cannot be read leaves its job findable by name. Inside the migration's
// transaction. Errors: SQLite::Exception.
void fill_search(SQLite::Database& database);

}  // namespace lctl::storage
