// Words for jobs, ranks, nodes and checkpoints, as tables and JSON show them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/terminal/look.h"
#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/control.pb.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::cli {

std::string state_name(v1::JobState state);        // "RUNNING"
std::string rank_state_name(v1::RankState state);  // "RUNNING"
std::string node_state_name(v1::NodeState state);  // "READY"
std::string kind_name(v1::CheckpointKind kind);    // "model"
// "program", "infrastructure", …; "" = none.
std::string cause_name(v1::EndCause cause);
Tone state_tone(v1::JobState state);

// The state of that name, in any case; empty when there is none.
std::optional<v1::JobState> state_of_name(std::string_view name);
// All of them, in the order of a job's life.
std::vector<v1::JobState> all_states();

// "digits-mlp (abcdefghij)".
std::string job_title(const v1::Job& job);

// Nodes that the ranks are on.
int nodes_of(const google::protobuf::RepeatedPtrField<v1::RankStatus>& ranks);

// "2 nodes × 4 gpu", "one node × one device"; of an elastic job "2 of 2–4 nodes × 4 gpus" while it
// has nodes, else "2–4 nodes × …".
std::string resources_text(const v1::Job& job, const Look& look);

// "2/4": the nodes that an elastic job has, and the most that it may have; "" for other jobs.
std::string elastic_text(const v1::Job& job);

// "a=1, b=2" by key; "" for none.
std::string tags_text(const v1::Job& job);

// "3a2a6ed1f0b7 on main, changed": the code that a job was submitted from.
std::string code_text(const v1::SourceCode& source);

// The last part of a checkpoint's path: what tells one from another.
std::string file_name_of(const v1::CheckpointWritten& written);

// The same as a name for a file of ours: a checkpoint's name comes from a job, so what cannot be
// one becomes its id.
std::string local_name_of(const v1::Checkpoint& checkpoint);

// Wall time from the first RUNNING to the end or `now_us`; "-" when it never ran.
std::string running_time(const v1::Job& job, std::int64_t now_us);

}  // namespace lctl::cli
