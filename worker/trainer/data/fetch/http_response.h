// What a server answers before the body.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/trainer/data/fetch/cache_record.h"

namespace lctl {

// "Content-Range: bytes 100-199/200"
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> total;
};

struct HttpResponse {
  int status = 0;
  Validators validators;
  std::optional<std::uint64_t> content_length;
  std::optional<ContentRange> range;
};

// Takes one line of the head, with or without its line end. A status line begins a new response:
// the one before was a redirect's or a proxy's. What is not understood is passed over. Pure.
void read_header_line(std::string_view line, HttpResponse& response);

}  // namespace lctl
