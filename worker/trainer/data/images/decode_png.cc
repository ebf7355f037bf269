#include "worker/trainer/data/images/decode_png.h"

#include <fmt/format.h>
#include <png.h>

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/pixel_buffer.h"
#include "worker/trainer/data/images/pixels.h"

namespace lctl {
namespace {

constexpr std::size_t kMaxChunk = std::size_t{8} << 20;  // of memory for one chunk but the image's

// libpng reports errors by a function that must not return. It jumps back into the method of Reader
// that called libpng: between the two there are frames of C only, and those methods hold nothing
// that has a destructor. Thread rule: one strand only.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, &info_, nullptr);
      throw std::bad_alloc();
    }
  }

  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Each is false when libpng has found an error: message().
  bool read_header() {
    if (setjmp(jump_) != 0) return false;
    png_set_read_fn(png_, this, read);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_dimensions() decides
    png_set_chunk_malloc_max(png_, kMaxChunk);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    // Of all that is not needed for pixels only the checksums are read.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(png_, info_);
    height_ = png_get_image_height(png_, info_);
    width_ = png_get_image_width(png_, info_);
    color_ = png_get_color_type(png_, info_);
    depth_ = png_get_bit_depth(png_, info_);
    return true;
  }

  // Rows become 8 bits for each of 3 channels, or of 1 where the file is grey; grey of 16 bits
  // stays as it is.
  bool start() {
    if (setjmp(jump_) != 0) return false;
    if (color_ == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (color_ == PNG_COLOR_TYPE_GRAY && depth_ < 8) png_set_expand_gray_1_2_4_to_8(png_);
    if (!is_gray16()) png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    row_bytes_ = png_get_rowbytes(png_, info_);
    return true;
  }

  bool read_rows(std::uint8_t* out) {
    if (setjmp(jump_) != 0) return false;
    for (int pass = 0; pass < passes_; ++pass) {
      for (png_uint_32 y = 0; y < height_; ++y) {
        png_read_row(png_, out + std::size_t{y} * row_bytes_, nullptr);
      }
    }
    return true;
  }

  png_uint_32 height() const { return height_; }
  png_uint_32 width() const { return width_; }
  bool is_gray() const { return (color_ & PNG_COLOR_MASK_COLOR) == 0; }
  // Pillow has no mode for alpha with 16 bits of grey: it keeps the upper 8 bits of those.
  bool is_gray16() const { return color_ == PNG_COLOR_TYPE_GRAY && depth_ == 16; }
  std::size_t row_bytes() const { return row_bytes_; }

  // libpng's own words.
  std::string message() const { return message_; }

 private:
  static Reader& self(png_structp png) { return *static_cast<Reader*>(png_get_error_ptr(png)); }

  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    Reader& reader = self(png);
    std::strncpy(reader.message_, text, sizeof reader.message_ - 1);
    std::longjmp(reader.jump_, 1);
  }

  static void on_warning(png_structp, png_const_charp) {}

  static void read(png_structp png, png_bytep out, std::size_t count) {
    Reader& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    if (count > reader.rest_.size()) png_error(png, "premature end of PNG file");
    std::memcpy(out, reader.rest_.data(), count);
    reader.rest_.remove_prefix(count);
  }

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::string_view rest_;
  std::jmp_buf jump_ = {};
  char message_[160] = {};
  png_uint_32 height_ = 0;
  png_uint_32 width_ = 0;
  int color_ = 0;
  int depth_ = 0;
  int passes_ = 0;
  std::size_t row_bytes_ = 0;
};

// From what the file holds to what is wanted, where the two differ.
void convert(const Reader& png, const std::uint8_t* in, bool gray, std::uint8_t* out) {
  const std::size_t pixels = std::size_t{png.height()} * png.width();
  if (!png.is_gray()) {
    rgb_to_gray(in, out, pixels);
  } else if (!png.is_gray16()) {
    gray_to_rgb(in, out, pixels);
  } else if (gray) {
    clip_gray16(in, out, pixels);
  } else {
    std::vector<std::uint8_t> row(png.width());
    for (std::size_t y = 0; y < png.height(); ++y) {
      clip_gray16(in + y * png.row_bytes(), row.data(), row.size());
      gray_to_rgb(row.data(), out + y * row.size() * 3, row.size());
    }
  }
}

}  // namespace

at::Tensor decode_png(std::string_view bytes, const std::string& name,
                      const DecodeOptions& options) {
  Reader png(bytes);
  const auto refuse = [&] { throw BadSample(fmt::format("{}: {}", name, png.message())); };
  if (!png.read_header()) refuse();
  check_dimensions(png.height(), png.width(), options.max_pixels, name);
  if (!png.start()) refuse();
  const bool gray = options.mode == ImageReadMode::kGray;
  const std::size_t pixel_bytes = png.is_gray16() ? 2 : png.is_gray() ? 1 : 3;
  if (png.row_bytes() != pixel_bytes * png.width())
    throw BadSample(fmt::format("{}: rows of {} bytes are not understood", name, png.row_bytes()));
  at::Tensor image = make_pixels(gray ? 1 : 3, png.height(), png.width());
  std::uint8_t* const out = image.data_ptr<std::uint8_t>();
  if (gray == png.is_gray() && !png.is_gray16()) {
    if (!png.read_rows(out)) refuse();
    return image;
  }
  // Not zeroed: a few bytes of header must not cost time in proportion to the size that they claim.
  const auto rows = std::make_unique_for_overwrite<std::uint8_t[]>(png.row_bytes() * png.height());
  if (!png.read_rows(rows.get())) refuse();
  convert(png, rows.get(), gray, out);
  return image;
}

}  // namespace lctl
