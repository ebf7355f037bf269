// From rows to the messages of proto/lctl/v1/job.proto.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/sqlite/connection.h"

// All of these: errors of SQL are SQLite::Exception; the caller locks the connection, and has a
// transaction open where several calls must agree.
namespace lctl::storage {

// The whole job by its number, with progress, tags, note and the ranks of its current attempt.
// DataLoss when a stored message cannot be parsed.
absl::StatusOr<v1::Job> read_job(Connection& connection, std::int64_t number);

// Ranks of an attempt in order, completed by what they reported themselves: the message and
// parameters_sha256 of their Finished event, and the pid of RankReady where none is known.
std::vector<v1::RankStatus> read_ranks(Connection& connection, std::int64_t job,
                                       AttemptNumber attempt);

// Oldest first.
std::vector<v1::Attempt> read_attempts(Connection& connection, std::int64_t job);
std::vector<v1::Transition> read_transitions(Connection& connection, std::int64_t job);

// What JobStore::resolve() documents.
absl::StatusOr<JobId> resolve_job(Connection& connection, std::string_view reference);

}  // namespace lctl::storage
