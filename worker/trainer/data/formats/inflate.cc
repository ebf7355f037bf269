#include "worker/trainer/data/formats/inflate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "worker/trainer/data/bad_sample.h"

namespace lctl {
namespace {

constexpr std::uint64_t kBestRatio = 1032;
constexpr std::uint64_t kSmallest = 1024;  // of headers and rounding
// zlib counts its input and output in 32 bits.
constexpr std::uint64_t kMostAtOnce = 1U << 30;
constexpr std::uint64_t kFirstRoom = 1 << 20;
constexpr std::uint64_t kPiece = 1 << 20;

Bytef* bytes_of(char* data) { return reinterpret_cast<Bytef*>(data); }

[[noreturn]] void fail(const SharedBytes& packed, const std::string& why) {
  throw BadSample(fmt::format("{}: {}", packed.name(), why));
}

// What zlib's code means for who reads it.
[[noreturn]] void fail(const SharedBytes& packed, int code, const z_stream& stream) {
  if (code == Z_MEM_ERROR) throw std::bad_alloc();
  if (code == Z_BUF_ERROR || code == Z_OK) fail(packed, "the compressed data is cut off");
  fail(packed, fmt::format("the compressed data is damaged: {}",
                           stream.msg != nullptr ? stream.msg : zError(code)));
}

// The file's own last four bytes say it, modulo 2^32, and for one stream; only a guess.
std::uint64_t guessed_size(const SharedBytes& packed) {
  std::uint32_t size = 0;
  if (packed.size() < 18) return kFirstRoom;
  std::memcpy(&size, packed.data() + packed.size() - sizeof(size), sizeof(size));
  return can_inflate_to(packed.size(), size) ? std::max<std::uint64_t>(size, 1) : kFirstRoom;
}

}  // namespace

bool can_inflate_to(std::uint64_t packed, std::uint64_t size) {
  return size / kBestRatio <= packed || size <= kSmallest;
}

SharedBytes inflate_exactly(const SharedBytes& packed, std::uint64_t size, std::uint32_t crc) {
  if (!can_inflate_to(packed.size(), size)) {
    fail(packed, fmt::format("{} compressed bytes cannot become the {} that the directory claims",
                             packed.size(), size));
  }
  const SharedBytes out = SharedBytes::allocate(size, packed.name());
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  std::uint64_t taken = 0;
  std::uint64_t made = 0;
  char no_room = 0;  // zlib wants an address even for nothing
  int code = Z_OK;
  while (code == Z_OK) {
    const std::uint64_t input = std::min(packed.size() - taken, kMostAtOnce);
    const std::uint64_t room = std::min(size - made, kMostAtOnce);
    stream.next_in = bytes_of(packed.data() + taken);
    stream.avail_in = static_cast<uInt>(input);
    stream.next_out = room == 0 ? bytes_of(&no_room) : bytes_of(out.data() + made);
    stream.avail_out = static_cast<uInt>(room);
    code = inflate(&stream, Z_NO_FLUSH);
    taken += input - stream.avail_in;
    made += room - stream.avail_out;
  }
  const std::string message = stream.msg != nullptr ? stream.msg : "";
  inflateEnd(&stream);
  if (code == Z_MEM_ERROR) throw std::bad_alloc();
  if (code == Z_BUF_ERROR && made == size && taken < packed.size())
    fail(packed, fmt::format("inflates to more than the {} bytes that the directory says", size));
  if (code == Z_BUF_ERROR) fail(packed, "the compressed data is cut off");
  if (code != Z_STREAM_END) fail(packed, "the compressed data is damaged: " + message);
  if (made != size)
    fail(packed,
         fmt::format("inflates to {} bytes, not the {} that the directory says", made, size));
  if (crc32_z(0, bytes_of(out.data()), size) != crc)
    fail(packed, "is damaged: its checksum (CRC-32) is another");
  return out;
}

void inflate_in_pieces(const SharedBytes& packed, std::uint64_t size, std::uint32_t crc,
                       const std::function<void(std::string_view)>& take) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  std::vector<char> piece(kPiece);
  std::uint64_t fed = 0;
  std::uint64_t made = 0;
  uLong actual = 0;
  for (int code = Z_OK; code != Z_STREAM_END;) {
    if (stream.avail_in == 0) {
      stream.next_in = bytes_of(packed.data() + fed);
      stream.avail_in = static_cast<uInt>(std::min(packed.size() - fed, kMostAtOnce));
      fed += stream.avail_in;
    }
    stream.next_out = bytes_of(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END) fail(packed, code, stream);
    const std::string_view got(piece.data(), piece.size() - stream.avail_out);
    made += got.size();
    if (made > size || (code == Z_STREAM_END && made < size))
      fail(packed, fmt::format("inflates to {} than the {} bytes that the directory says",
                               made > size ? "more" : "less", size));
    actual = crc32_z(actual, bytes_of(piece.data()), got.size());
    if (!got.empty()) take(got);
  }
  if (actual != crc) fail(packed, "is damaged: its checksum (CRC-32) is another");
}

bool is_gzip(std::string_view bytes) { return bytes.substr(0, 2) == "\x1f\x8b"; }

GzipReader::GzipReader(SharedBytes packed) : packed_(std::move(packed)) {
  constexpr int kGzip = 16;
  if (inflateInit2(&stream_, MAX_WBITS + kGzip) != Z_OK) throw std::bad_alloc();
}

GzipReader::~GzipReader() { inflateEnd(&stream_); }

bool GzipReader::feed() {
  if (stream_.avail_in > 0) return true;
  const std::uint64_t size = std::min(packed_.size() - fed_, kMostAtOnce);
  stream_.next_in = bytes_of(packed_.data() + fed_);
  stream_.avail_in = static_cast<uInt>(size);
  fed_ += size;
  return size > 0;
}

bool GzipReader::start_next_stream() {
  const std::uint64_t at = fed_ - stream_.avail_in;
  if (!is_gzip(packed_.view().substr(at))) return false;
  return inflateReset(&stream_) == Z_OK;
}

std::uint64_t GzipReader::read(char* to, std::uint64_t size) {
  std::uint64_t made = 0;
  while (made < size && !ended_) {
    const bool input = feed();
    const std::uint64_t room = std::min(size - made, kMostAtOnce);
    stream_.next_out = bytes_of(to + made);
    stream_.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    made += room - stream_.avail_out;
    if (code == Z_STREAM_END) {
      ended_ = !start_next_stream();
    } else if (code != Z_OK || (!input && stream_.avail_out > 0)) {
      fail(packed_, code, stream_);
    }
  }
  return made;
}

SharedBytes read_possibly_compressed(const std::string& path) {
  SharedBytes file = SharedBytes::map(path);
  if (!is_gzip(file.view())) return file;
  file.advise(Access::kInOrder);
  GzipReader reader(file);
  std::string text;
  std::uint64_t size = 0;
  // One byte more than expected shows the end without another round.
  for (std::uint64_t room = guessed_size(file) + 1;; room = 2 * size) {
    text.resize(room);
    size += reader.read(text.data() + size, room - size);
    if (size < room) break;
  }
  text.resize(size);
  return SharedBytes::of(std::move(text), path);
}

}  // namespace lctl
