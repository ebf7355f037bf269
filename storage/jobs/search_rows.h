// The rows that a search looks at.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "storage/jobs/label_change.h"
#include "storage/search/parameters.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer.
namespace lctl::storage {

enum class ParameterSource { kHyperparameters = 0, kConfig = 1 };  // as in job_parameters.source

// Replaces all of that source.
void write_parameters(Connection& connection, std::int64_t job, ParameterSource source,
                      std::span<const Parameter> parameters);

// One more, of a key that the source does not have yet.
void add_parameter(Connection& connection, std::int64_t job, ParameterSource source,
                   const Parameter& parameter);

Tags read_tags(Connection& connection, std::int64_t job);
std::string read_note(Connection& connection, std::int64_t job);

// Replaces all tags; write_texts() must follow.
void write_tags(Connection& connection, std::int64_t job, const Tags& tags);
// "" = none; write_texts() must follow.
void write_note(Connection& connection, std::int64_t job, const std::string& note);
// The full-text row, from the job's other rows.
void write_texts(Connection& connection, std::int64_t job);

}  // namespace lctl::storage
