// A sample's file that was compressed by itself: "000017.json.gz".
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace lctl::webdataset {

// The bytes in a gzip file, which may have several parts; at most 256 MiB. Throws BadSample for
// what is no gzip, is cut off or is larger. Pure.
std::string inflate_gzip(std::span<const std::byte> bytes);

}  // namespace lctl::webdataset
