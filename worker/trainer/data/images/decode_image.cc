#include "worker/trainer/data/images/decode_image.h"

#include <fmt/format.h>

#include <cstring>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/decode_jpeg.h"
#include "worker/trainer/data/images/decode_png.h"
#include "worker/trainer/data/interleaved_image.h"

namespace lctl {
namespace {

using namespace std::string_view_literals;

// Formats that people have in image folders, and that are not decoded here.
std::string_view other_format(std::string_view bytes) {
  if (bytes.starts_with("GIF8"sv)) return "GIF";
  if (bytes.starts_with("BM"sv)) return "BMP";
  if (bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv)) return "TIFF";
  if (bytes.starts_with("RIFF"sv) && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP"sv)
    return "WebP";
  if (bytes.starts_with("\0\0\0\x0CjP"sv)) return "JPEG 2000";
  if (bytes.size() >= 12 && bytes.substr(4, 8) == "ftypavif"sv) return "AVIF";
  if (bytes.size() >= 12 && bytes.substr(4, 8) == "ftypheic"sv) return "HEIC";
  return "";
}

std::string what_it_is(std::string_view bytes) {
  if (bytes.empty()) return "the file is empty";
  if (const std::string_view format = other_format(bytes); !format.empty())
    return fmt::format("it is a {} image; convert it to JPEG or PNG", format);
  std::string start;
  for (const char c : bytes.substr(0, 4))
    start += fmt::format(" {:02x}", static_cast<unsigned char>(c));
  return fmt::format("neither a JPEG nor a PNG image; it begins with{}", start);
}

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xFF\xD8\xFF"sv); }

}  // namespace

at::Tensor decode_image(std::string_view bytes, const std::string& name,
                        const DecodeOptions& options) {
  if (is_jpeg(bytes)) return decode_jpeg(bytes, name, options);
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return decode_png(bytes, name, options);
  throw BadSample(fmt::format("{}: {}", name, what_it_is(bytes)));
}

std::optional<at::Tensor> decode_image_into(const PixelMemory& memory, std::string_view bytes,
                                            const std::string& name, const DecodeOptions& options) {
  if (is_jpeg(bytes)) return decode_jpeg_into(memory, bytes, name, options);
  at::Tensor image = decode_image(bytes, name, options);
  std::uint8_t* const to = memory(image.size(0), image.size(1), image.size(2));
  if (to == nullptr) return image;
  if (is_interleaved_image(image)) {
    split_into_planes(image, to);
  } else {  // of one channel, which lies in memory as a plane
    std::memcpy(to, image.const_data_ptr(), image.nbytes());
  }
  return std::nullopt;
}

}  // namespace lctl
