#include "worker/trainer/loggers/png.h"

#include <zlib.h>

#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace lctl {
namespace {

void append_number(std::uint32_t number, std::string& out) {  // big-endian
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

// Length, type, data, CRC of type and data.
void append_chunk(std::string_view type, std::string_view data, std::string& out) {
  append_number(static_cast<std::uint32_t>(data.size()), out);
  const std::size_t start = out.size();
  out += type;
  out += data;
  const auto* bytes = reinterpret_cast<const Bytef*>(out.data()) + start;
  append_number(static_cast<std::uint32_t>(crc32_z(0, bytes, out.size() - start)), out);
}

// The filter "Sub" stores each byte as the difference to the pixel on its left, which compresses
// both drawings and photographs well.
constexpr char kSubFilter = 1;

std::string filtered_rows(std::span<const std::uint8_t> pixels, std::size_t row_bytes,
                          std::size_t channels) {
  std::string rows;
  rows.reserve(pixels.size() + pixels.size() / row_bytes);
  for (std::size_t row = 0; row < pixels.size(); row += row_bytes) {
    rows.push_back(kSubFilter);
    for (std::size_t i = 0; i < row_bytes; ++i) {
      const unsigned left = i < channels ? 0U : pixels[row + i - channels];
      rows.push_back(static_cast<char>(pixels[row + i] - left));
    }
  }
  return rows;
}

}  // namespace

std::string encode_png(std::span<const std::uint8_t> pixels, std::uint32_t width,
                       std::uint32_t height, int channels) {
  static constexpr char kColourTypes[] = {0, 4, 2, 6};
  const std::size_t row_bytes =
      static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  if (channels < 1 || channels > 4 || width == 0 || height == 0 || width > 1U << 30 ||
      height > 1U << 30 || pixels.size() != row_bytes * height || pixels.size() > 1U << 30) {
    throw std::invalid_argument("a PNG has 1 to 4 channels, at least one pixel and at most 1 GiB");
  }
  std::string header;
  append_number(width, header);
  append_number(height, header);
  header += '\x08';  // bits a sample
  header += kColourTypes[channels - 1];
  header.append(3, '\0');  // deflate, the only set of filters, not interlaced

  const std::string rows = filtered_rows(pixels, row_bytes, static_cast<std::size_t>(channels));
  uLongf size = compressBound(rows.size());
  std::string data(size, '\0');
  const int result =
      compress2(reinterpret_cast<Bytef*>(data.data()), &size,
                reinterpret_cast<const Bytef*>(rows.data()), rows.size(), Z_DEFAULT_COMPRESSION);
  if (result != Z_OK) throw std::bad_alloc();
  data.resize(size);

  std::string png = "\x89PNG\r\n\x1a\n";
  append_chunk("IHDR", header, png);
  append_chunk("IDAT", data, png);
  append_chunk("IEND", "", png);
  return png;
}

}  // namespace lctl
