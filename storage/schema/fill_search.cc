#include "storage/schema/fill_search.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/lctl/v1/job.pb.h"
#include "storage/search/parameters.h"

namespace lctl::storage {
namespace {

void insert_parameters(SQLite::Database& database, std::int64_t job, int source,
                       const std::vector<Parameter>& parameters) {
  SQLite::Statement row(database, "INSERT INTO job_parameters VALUES (?, ?, ?, ?, ?)");
  for (const Parameter& parameter : parameters) {
    row.bind(1, job);
    row.bind(2, source);
    row.bind(3, parameter.key);
    row.bind(4, parameter.text);
    if (parameter.number) {
      row.bind(5, *parameter.number);
    } else {
      row.bind(5);
    }
    row.exec();
    row.reset();
  }
}

void insert_spec(SQLite::Database& database, std::int64_t job, const v1::JobSpec& spec) {
  SQLite::Statement row(database, "INSERT INTO job_tags VALUES (?, ?, ?)");
  for (const auto& [key, value] : spec.tags()) {
    row.bind(1, job);
    row.bind(2, key);
    row.bind(3, value);
    row.exec();
    row.reset();
  }
  insert_parameters(database, job, /*source=*/1, flatten_config(spec.config_yaml()));
}

}  // namespace

void fill_search(SQLite::Database& database) {
  SQLite::Statement specs(database, "SELECT job, spec FROM job_specs");
  while (specs.executeStep()) {
    const SQLite::Column bytes = specs.getColumn(1);
    v1::JobSpec spec;
    if (!spec.ParseFromArray(bytes.getBlob(), bytes.getBytes())) continue;
    insert_spec(database, specs.getColumn(0).getInt64(), spec);
  }
  SQLite::Statement reported(database, "SELECT job, yaml FROM job_hyperparameters");
  while (reported.executeStep()) {
    insert_parameters(database, reported.getColumn(0).getInt64(), /*source=*/0,
                      flatten_yaml(reported.getColumn(1).getString()));
  }
  database.exec(
      "INSERT INTO job_texts (rowid, name, experiment, tags, note) SELECT number, name, experiment,"
      " coalesce((SELECT group_concat(key || ' ' || value, char(10)) FROM job_tags"
      " WHERE job = number), ''), '' FROM jobs");
}

}  // namespace lctl::storage
