// From the messages of proto/lctl/v1/job.proto to rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "storage/jobs/job_store.h"
#include "storage/search/parameters.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; inside a transaction of the writer.
namespace lctl::storage {

// `parameters` are those of its job file. AlreadyExists when the id is taken.
absl::Status insert_job(Connection& connection, const JobChange& change,
                        std::span<const Parameter> parameters);

// Makes the experiment when it is new. When it was deleted, brings it back with the runs that went
// with it.
void use_experiment(Connection& connection, const std::string& name, std::int64_t now_us);

// At the end of the job's history.
void append_transition(Connection& connection, std::int64_t job, const v1::Transition& transition);

// What JobStore::record() documents for one change.
absl::Status update_job(Connection& connection, const JobChange& change);

}  // namespace lctl::storage
