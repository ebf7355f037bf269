#include "worker/trainer/data/webdataset/inflate.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::webdataset {
namespace {

constexpr std::size_t kLargest = 256U << 20U;
constexpr std::size_t kStep = 64U << 10U;
constexpr int kGzipOnly = 16 + MAX_WBITS;

}  // namespace

std::string inflate_gzip(std::span<const std::byte> bytes) {
  z_stream stream = {};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw std::runtime_error("zlib does not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  if (bytes.size() > std::numeric_limits<uInt>::max()) throw BadSample("more than 4 GiB of gzip");
  // zlib's input is not const, and is not changed.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string plain;
  while (true) {
    const std::size_t had = plain.size();
    plain.resize(had + std::max(kStep, had / 2));
    stream.next_out = reinterpret_cast<Bytef*>(plain.data() + had);
    stream.avail_out = static_cast<uInt>(plain.size() - had);
    const int code = inflate(&stream, Z_NO_FLUSH);
    plain.resize(plain.size() - stream.avail_out);
    if (plain.size() > kLargest)
      throw BadSample(fmt::format("inflates to more than {} MiB", kLargest >> 20U));
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0) return plain;
      if (inflateReset(&stream) != Z_OK) throw std::runtime_error("zlib does not start again");
    } else if (code == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      throw BadSample(fmt::format("no gzip: {}", stream.msg == nullptr ? "damaged" : stream.msg));
    } else if (stream.avail_in == 0 && stream.avail_out != 0) {
      throw BadSample("the gzip file is cut off");
    }
  }
}

}  // namespace lctl::webdataset
