// The last that a rank said before its attempt failed, for `lctl status`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/metrics/event_store.h"

namespace lctl::services {

// The last `count` lines with something in them, oldest first, as printable lines. `cut`: the text
// begins somewhere in a line, which does not count unless it is the only one. Pure.
std::vector<std::string> last_lines_of(std::string_view text, bool cut, std::size_t count);

// Puts the culprit's last lines (of stderr, else of stdout) into the newest failed attempts of the
// job. Attempts are oldest first.
absl::Status add_last_lines(const storage::EventStore& store, const JobId& job,
                            google::protobuf::RepeatedPtrField<v1::Attempt>& attempts);

}  // namespace lctl::services
