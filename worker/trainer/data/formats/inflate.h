// Deflated bytes: members of ZIP archives, and .gz files.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

// Whether that many bytes can come out of `packed` deflated ones: deflate reaches 1:1032 at best.
// To be asked before memory is, since a few bytes of a header may claim any size.
bool can_inflate_to(std::uint64_t packed, std::uint64_t size);

// A raw deflate stream of exactly that size and checksum, inflated. Throws BadSample naming
// `packed` otherwise.
SharedBytes inflate_exactly(const SharedBytes& packed, std::uint64_t size, std::uint32_t crc32);

// The same in pieces, one after another, for what need not fit into memory: `take` gets those that
// came before an error, too, and may throw.
void inflate_in_pieces(const SharedBytes& packed, std::uint64_t size, std::uint32_t crc32,
                       const std::function<void(std::string_view)>& take);

// True when they begin as gzip's do.
bool is_gzip(std::string_view bytes);

// Inflates gzip's bytes from front to back; several streams one behind the other are one, as for
// gzip; what follows and is none is ignored. Thread rule: one strand only.
class GzipReader {
 public:
  explicit GzipReader(SharedBytes packed);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Up to `size` bytes; fewer only at the end. Throws BadSample for damaged and cut off streams.
  std::uint64_t read(char* to, std::uint64_t size);

 private:
  bool feed();
  bool start_next_stream();

  SharedBytes packed_;
  std::uint64_t fed_ = 0;  // of packed_
  bool ended_ = false;
  z_stream stream_ = {};
};

// All bytes of a file, inflated when they are gzip's, and else mapped. Throws std::runtime_error
// when it cannot be read, BadSample when it is damaged.
SharedBytes read_possibly_compressed(const std::string& path);

}  // namespace lctl
