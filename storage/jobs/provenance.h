// Where a job's result comes from: the code it was submitted from, and what its ranks ran on.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/id.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/jobs/job_store.h"
#include "storage/jobs/label_change.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer.
namespace lctl::storage {

void write_source(Connection& connection, std::int64_t job, v1::SourceCode source);

// nullopt when the job was submitted without.
std::optional<v1::SourceCode> read_source(Connection& connection, std::int64_t job, bool with_diff);

// Tags by which MLflow's users know the code (search/known_tags.h); those that are not known are
// left out.
Tags source_tags(Connection& connection, std::int64_t job);

// Of the ranks of an attempt, those that have told; by rank.
std::vector<ReportedEnvironment> read_environments(Connection& connection, std::int64_t job,
                                                   AttemptNumber attempt);

}  // namespace lctl::storage
