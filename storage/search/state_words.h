// Names of job states in searches: ours, and MLflow's for the runs that jobs are to its clients.
#pragma once

#include <string>
#include <string_view>

#include "proto/lctl/v1/job.pb.h"
#include "storage/search/filter.h"

namespace lctl::storage {

// "SUCCEEDED"; "" for a state of a newer program.
std::string state_name(v1::JobState state);

// Our states ("SUCCEEDED") that a word in any case means; none when no state has it. MLflow's
// FINISHED, KILLED and SCHEDULED are known always. `as_mlflow` (its attribute is called `status`)
// counts a job that is stopping as RUNNING.
Texts states_of_word(std::string_view word, bool as_mlflow);

// "QUEUED, STARTING, …", for messages.
std::string state_names();

}  // namespace lctl::storage
