#include "worker/trainer/data/formats/idx.h"

#include <fmt/format.h>

#include <optional>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/inflate.h"

namespace lctl {
namespace {

constexpr std::uint64_t kMagicSize = 4;

std::uint64_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::optional<at::ScalarType> dtype_of(std::uint64_t code) {
  switch (code) {
    case 0x08:
      return at::kByte;
    case 0x09:
      return at::kChar;
    case 0x0B:
      return at::kShort;
    case 0x0C:
      return at::kInt;
    case 0x0D:
      return at::kFloat;
    case 0x0E:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

std::uint64_t header_size(std::string_view magic) { return kMagicSize + 4 * byte_at(magic, 3); }

// The bytes behind the header: exactly as many as it says.
SharedBytes inflated_data(GzipReader& reader, const SharedBytes& packed,
                          const ArrayLayout& layout) {
  const std::optional<std::uint64_t> size = byte_count(layout);
  if (!size.has_value() || !can_inflate_to(packed.size(), *size)) {
    throw BadSample(
        fmt::format("{}: {} compressed bytes cannot become the {} that the header promises",
                    packed.name(), packed.size(), layout_text(layout)));
  }
  const SharedBytes data = SharedBytes::allocate(*size, packed.name());
  const std::uint64_t got = reader.read(data.data(), *size);
  if (got < *size) return data.part(0, got, packed.name());
  char more = 0;
  if (reader.read(&more, 1) != 0)
    throw BadSample(
        fmt::format("{}: data follows the {} of the header", packed.name(), layout_text(layout)));
  return data;
}

at::Tensor read_compressed(const SharedBytes& packed) {
  GzipReader reader(packed);
  std::string header(kMagicSize, '\0');
  header.resize(reader.read(header.data(), kMagicSize));
  if (is_idx(header)) {
    const std::uint64_t whole = header_size(header);
    header.resize(whole);
    header.resize(kMagicSize + reader.read(header.data() + kMagicSize, whole - kMagicSize));
  }
  const ArrayLayout layout = parse_idx_header(header, packed.name()).layout;
  return tensor_over(inflated_data(reader, packed, layout), layout);
}

}  // namespace

bool is_idx(std::string_view bytes) {
  return bytes.size() >= kMagicSize && bytes[0] == 0 && bytes[1] == 0 &&
         dtype_of(byte_at(bytes, 2)).has_value();
}

IdxHeader parse_idx_header(std::string_view bytes, const std::string& name) {
  if (!is_idx(bytes)) {
    throw BadSample(
        fmt::format("{}: is no IDX file: it does not begin with two zeros, a type's code (0x08 to "
                    "0x0E) and the number of dimensions",
                    name));
  }
  IdxHeader header;
  header.data_offset = header_size(bytes);
  if (bytes.size() < header.data_offset) {
    throw BadSample(fmt::format("{}: is cut off in its header: {} bytes of {}", name, bytes.size(),
                                header.data_offset));
  }
  header.layout.dtype = *dtype_of(byte_at(bytes, 2));
  header.layout.big_endian = true;
  for (std::size_t at = kMagicSize; at < header.data_offset; at += 4) {
    header.layout.shape.push_back(
        static_cast<std::int64_t>(byte_at(bytes, at) << 24 | byte_at(bytes, at + 1) << 16 |
                                  byte_at(bytes, at + 2) << 8 | byte_at(bytes, at + 3)));
  }
  return header;
}

at::Tensor read_idx(const SharedBytes& file) {
  if (is_gzip(file.view())) return read_compressed(file);
  const IdxHeader header = parse_idx_header(file.view(), file.name());
  const SharedBytes data =
      file.part(header.data_offset, file.size() - header.data_offset, file.name());
  const std::optional<std::uint64_t> size = byte_count(header.layout);
  if (size.has_value() && *size < data.size()) {
    throw BadSample(fmt::format("{}: {} bytes follow the {} of the header", file.name(),
                                data.size() - *size, layout_text(header.layout)));
  }
  return tensor_over(data, header.layout);
}

}  // namespace lctl
