// What the other parts of the store need to know of a job's rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

struct JobRow {
  std::int64_t number = 0;    // its key in all tables
  AttemptNumber attempt = 0;  // the current one: what comes from any other is fenced
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
};

// nullopt for an unknown job. Errors: SQLite::Exception. Caller locks the connection.
std::optional<JobRow> find_job(Connection& connection, std::string_view id);

// The same, with NotFound for an unknown job.
absl::StatusOr<JobRow> require_job(Connection& connection, std::string_view id);

// A job of which something is to be taken away: FailedPrecondition when it has not ended.
absl::StatusOr<JobRow> require_finished(Connection& connection, const JobId& id);

}  // namespace lctl::storage
