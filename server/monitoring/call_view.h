// gRPC calls, counted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace lctl::monitoring {

struct CallView {
  // By method ("lctl.v1.Jobs/Submit") and status ("OK").
  std::map<std::pair<std::string, std::string>, std::uint64_t> finished;
  std::map<std::string, std::int64_t> open;  // by method; streams above all
};

}  // namespace lctl::monitoring
