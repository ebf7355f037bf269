// From the bytes of one spool record to an event that the store may keep.
#pragma once

#include <string_view>

#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"

namespace lctl::ingest {

// InvalidArgument, saying what is wrong, for what is not an event or breaks the bounds written in
// event.proto. A rank's last words are never refused for their form: too long a message is cut, a
// hash that is none is dropped.
absl::StatusOr<v1::Event> parse_event(std::string_view bytes);

}  // namespace lctl::ingest
