#include "storage/jobs/search_rows.h"

#include <optional>

namespace lctl::storage {

void write_parameters(Connection& connection, std::int64_t job, ParameterSource source,
                      std::span<const Parameter> parameters) {
  connection.query("DELETE FROM job_parameters WHERE job = ?1 AND source = ?2")
      .bind(job, source)
      .run();
  for (const Parameter& parameter : parameters) add_parameter(connection, job, source, parameter);
}

void add_parameter(Connection& connection, std::int64_t job, ParameterSource source,
                   const Parameter& parameter) {
  Query query = connection.query(
      "INSERT INTO job_parameters (job, source, key, text, number) VALUES (?1, ?2, ?3, ?4, ?5)");
  if (parameter.number) {
    query.bind(job, source, parameter.key, parameter.text, *parameter.number);
  } else {
    query.bind(job, source, parameter.key, parameter.text, std::nullopt);
  }
  query.run();
}

Tags read_tags(Connection& connection, std::int64_t job) {
  Query query = connection.query("SELECT key, value FROM job_tags WHERE job = ?1");
  query.bind(job);
  Tags tags;
  while (query.step()) tags.emplace(query.text(0), query.text(1));
  return tags;
}

std::string read_note(Connection& connection, std::int64_t job) {
  Query query = connection.query("SELECT note FROM job_notes WHERE job = ?1");
  query.bind(job);
  return query.step() ? std::string(query.text(0)) : std::string();
}

void write_tags(Connection& connection, std::int64_t job, const Tags& tags) {
  connection.query("DELETE FROM job_tags WHERE job = ?1").bind(job).run();
  for (const auto& [key, value] : tags) {
    connection.query("INSERT INTO job_tags (job, key, value) VALUES (?1, ?2, ?3)")
        .bind(job, key, value)
        .run();
  }
}

void write_note(Connection& connection, std::int64_t job, const std::string& note) {
  if (note.empty()) {
    connection.query("DELETE FROM job_notes WHERE job = ?1").bind(job).run();
  } else {
    connection.query("INSERT OR REPLACE INTO job_notes (job, note) VALUES (?1, ?2)")
        .bind(job, note)
        .run();
  }
}

void write_texts(Connection& connection, std::int64_t job) {
  connection.query("DELETE FROM job_texts WHERE rowid = ?1").bind(job).run();
  connection
      .query(
          "INSERT INTO job_texts (rowid, name, experiment, tags, note)"
          " SELECT number, name, experiment,"
          " coalesce((SELECT group_concat(key || ' ' || value, char(10)) FROM job_tags"
          " WHERE job = number), ''),"
          " coalesce((SELECT note FROM job_notes WHERE job = number), '')"
          " FROM jobs WHERE number = ?1")
      .bind(job)
      .run();
}

}  // namespace lctl::storage
