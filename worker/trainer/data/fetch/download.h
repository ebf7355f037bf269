// One URL into one file, however often the connection breaks.
#pragma once

#include <cstdint>
#include <string>

#include "worker/trainer/data/fetch/cache_bound.h"
#include "worker/trainer/data/fetch/cache_record.h"
#include "worker/trainer/data/fetch/fetch_options.h"
#include "worker/trainer/data/fetch/partial_file.h"
#include "worker/trainer/data/fetch/source_url.h"

namespace lctl {

// The copy that the cache has of a URL.
struct CachedCopy {
  bool present = false;
  Validators validators;
};

struct Downloaded {
  bool not_modified = false;  // the cached copy is what the server has
  std::string sha256;
  std::uint64_t size = 0;
  Validators validators;
};

// Fills `partial`, going on where it ends if the server still has the same file, and checks size
// and checksum. The last byte is asked for again, so a part that happens to be complete is no
// special case.
//
// Throws FetchError. What was received stays for the next try, but for a wrong checksum, and a full
// disk: its space is needed for checkpoints. With a cached copy, a server that does not answer at
// all is asked once only.
Downloaded download(const SourceUrl& url, const CachedCopy& cached, PartialFile& partial,
                    const FetchOptions& options, const CacheBound& bound);

// "12.3 MB", for messages.
std::string megabytes(std::uint64_t bytes);

}  // namespace lctl
