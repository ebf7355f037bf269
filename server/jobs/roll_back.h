// Attempts whose training went astray, and what the next one does differently. Pure; part of the
// state machine.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobs {

// What the first rank said that wants training rolled back; nullptr = none does. All ranks decide
// alike, but some may not have come to say it.
const v1::Finished* roll_back_of(std::span<const std::optional<v1::Finished>> finished);

// The same of ranks that could not read the checkpoint that they were to go on from.
const v1::Finished* unreadable_of(std::span<const std::optional<v1::Finished>> finished);

// Adds what a roll-back wants left out, each batch once, and the oldest go when there are too many.
void remember_skipped(const v1::Finished& said, std::vector<v1::BatchPlace>& skipped);

// How many attempts were rolled back since the job was submitted or resumed. `restarts` are the
// job's: one failure more was the end of the job. `attempts`: oldest first.
int roll_backs_of(std::span<const v1::Attempt> attempts, int restarts);

}  // namespace lctl::jobs
