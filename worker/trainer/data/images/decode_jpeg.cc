#include "worker/trainer/data/images/decode_jpeg.h"

// jpeglib.h needs size_t and FILE.
#include <cstdio>

// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <fmt/format.h>

#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/pixel_buffer.h"
#include "worker/trainer/data/images/pixels.h"
#include "worker/trainer/data/interleaved_image.h"

namespace lctl {
namespace {

// A progressive file of a few kilobytes can ask for any number of passes over a large image.
constexpr int kMaxScans = 500;

constexpr JDIMENSION kRowsAtOnce = 8;

// libjpeg reports errors by a function that must not return. It jumps back into the method of
// Decompressor that called libjpeg: between the two there are frames of C only, and those methods
// hold nothing that has a destructor. A decompressor is made anew for each image because tables of
// an earlier one would fill in for those that a broken file lacks.
// Thread rule: one strand only.
class Decompressor {
 public:
  explicit Decompressor(std::string_view bytes) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    errors_.output_message = [](j_common_ptr) {};
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = on_end_of_input;
    source_.skip_input_data = skip;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = [](j_decompress_ptr) {};
    progress_.progress_monitor = on_progress;
  }

  ~Decompressor() { jpeg_destroy_decompress(&jpeg_); }  // fine for one that was never created

  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Each is false when libjpeg has found an error: message().
  bool read_header() {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.client_data = this;
    jpeg_.src = &source_;
    jpeg_.progress = &progress_;
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool start(J_COLOR_SPACE out) {
    if (setjmp(jump_) != 0) return false;
    jpeg_.out_color_space = out;
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  // All rows, one behind the other at `rows`.
  bool read_all(std::uint8_t* rows, std::size_t row_bytes) {
    if (setjmp(jump_) != 0) return false;
    while (jpeg_.output_scanline < jpeg_.output_height)
      read_some(rows + jpeg_.output_scanline * row_bytes, row_bytes, jpeg_.output_height);
    return true;
  }

  // The next rows, `kRowsAtOnce` at most.
  bool read_next(std::uint8_t* rows, std::size_t row_bytes, JDIMENSION* read) {
    if (setjmp(jump_) != 0) return false;
    const JDIMENSION before = jpeg_.output_scanline;
    const JDIMENSION end = std::min(before + kRowsAtOnce, jpeg_.output_height);
    while (jpeg_.output_scanline < end)
      read_some(rows + (jpeg_.output_scanline - before) * row_bytes, row_bytes, end);
    *read = end - before;
    return true;
  }

  JDIMENSION height() const { return jpeg_.image_height; }
  JDIMENSION width() const { return jpeg_.image_width; }
  int components() const { return jpeg_.num_components; }

  // libjpeg's own words.
  std::string message() {
    char text[JMSG_LENGTH_MAX] = {};
    errors_.format_message(reinterpret_cast<j_common_ptr>(&jpeg_), text);
    if (too_many_scans_) return fmt::format("it has more than {} scans", kMaxScans);
    return text;
  }

 private:
  static Decompressor& self(j_common_ptr jpeg) {
    return *static_cast<Decompressor*>(jpeg->client_data);
  }

  // Some of the rows before `end`: libjpeg gives as many as it has made at a time.
  void read_some(std::uint8_t* rows, std::size_t row_bytes, JDIMENSION end) {
    JSAMPROW pointers[kRowsAtOnce];
    const JDIMENSION wanted = std::min(end - jpeg_.output_scanline, kRowsAtOnce);
    for (JDIMENSION i = 0; i < wanted; ++i) pointers[i] = rows + i * row_bytes;
    jpeg_read_scanlines(&jpeg_, pointers, wanted);
  }

  [[noreturn]] static void on_error(j_common_ptr jpeg) { std::longjmp(self(jpeg).jump_, 1); }

  // Warnings: as Pillow, we take what libjpeg makes of it. Traces are not wanted either.
  static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0) ++jpeg->err->num_warnings;
  }

  // libjpeg's own source for memory would only warn, and leave the rest of the image grey.
  static boolean on_end_of_input(j_decompress_ptr jpeg) {
    jpeg->err->msg_code = JWRN_JPEG_EOF;
    on_error(reinterpret_cast<j_common_ptr>(jpeg));
  }

  static void skip(j_decompress_ptr jpeg, long count) {
    if (count <= 0) return;
    jpeg_source_mgr& source = *jpeg->src;
    if (static_cast<std::size_t>(count) > source.bytes_in_buffer) on_end_of_input(jpeg);
    source.next_input_byte += count;
    source.bytes_in_buffer -= static_cast<std::size_t>(count);
  }

  static void on_progress(j_common_ptr jpeg) {
    if (!jpeg->is_decompressor) return;
    if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
    self(jpeg).too_many_scans_ = true;
    on_error(jpeg);
  }

  jpeg_decompress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_source_mgr source_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf jump_ = {};
  bool too_many_scans_ = false;
};

// Reads all rows, each through `convert` from a row of `from` bytes for each pixel.
template <typename Convert>
bool read_converted(Decompressor& jpeg, std::size_t from, std::uint8_t* out, std::size_t to,
                    const Convert& convert) {
  const std::size_t width = jpeg.width();
  std::vector<std::uint8_t> memory(width * from * kRowsAtOnce + kCachedOffset);
  std::uint8_t* const rows = memory.data() + kCachedOffset;
  for (JDIMENSION y = 0; y < jpeg.height();) {
    JDIMENSION read = 0;
    if (!jpeg.read_next(rows, width * from, &read)) return false;
    convert(rows, out + y * width * to, width * read);
    y += read;
  }
  return true;
}

// Reads all rows as RGB, each through `use`, which makes `to` bytes of each pixel.
template <typename Use>
bool read_rgb(Decompressor& jpeg, std::uint8_t* out, std::size_t to, const Use& use) {
  if (jpeg.components() != 4) return jpeg.start(JCS_RGB) && read_converted(jpeg, 3, out, to, use);
  std::vector<std::uint8_t> rgb(std::size_t{jpeg.width()} * 3 * kRowsAtOnce);
  return jpeg.start(JCS_CMYK) &&
         read_converted(jpeg, 4, out, to,
                        [&](const std::uint8_t* in, std::uint8_t* made, std::size_t pixels) {
                          inverted_cmyk_to_rgb(in, rgb.data(), pixels);
                          use(rgb.data(), made, pixels);
                        });
}

bool read_pixels(Decompressor& jpeg, bool gray, std::uint8_t* out) {
  if (gray && jpeg.components() == 1)
    return jpeg.start(JCS_GRAYSCALE) && jpeg.read_all(out, jpeg.width());
  if (gray) return read_rgb(jpeg, out, 1, rgb_to_gray);
  // Straight to where they belong.
  if (jpeg.components() == 4)
    return jpeg.start(JCS_CMYK) && read_converted(jpeg, 4, out, 3, inverted_cmyk_to_rgb);
  return jpeg.start(JCS_RGB) && jpeg.read_all(out, std::size_t{jpeg.width()} * 3);
}

// All rows, as RGB, to three planes.
bool read_planes(Decompressor& jpeg, std::uint8_t* out) {
  const std::size_t plane = std::size_t{jpeg.height()} * jpeg.width();
  return read_rgb(jpeg, out, 1,
                  [plane](const std::uint8_t* rgb, std::uint8_t* to, std::size_t pixels) {
                    split_into_planes(rgb, static_cast<std::int64_t>(pixels), to,
                                      static_cast<std::int64_t>(plane));
                  });
}

// Throws BadSample for what is not decoded.
void check(const Decompressor& jpeg, const std::string& name, const DecodeOptions& options) {
  check_dimensions(jpeg.height(), jpeg.width(), options.max_pixels, name);
  const int components = jpeg.components();
  if (components == 1 || components == 3 || components == 4) return;
  throw BadSample(fmt::format(
      "{}: a JPEG image of {} components is neither grey, nor RGB, nor CMYK", name, components));
}

}  // namespace

at::Tensor decode_jpeg(std::string_view bytes, const std::string& name,
                       const DecodeOptions& options) {
  return *decode_jpeg_into([](auto...) { return nullptr; }, bytes, name, options);
}

std::optional<at::Tensor> decode_jpeg_into(const PixelMemory& memory, std::string_view bytes,
                                           const std::string& name, const DecodeOptions& options) {
  Decompressor jpeg(bytes);
  const auto must = [&](bool fine) {
    if (!fine) throw BadSample(fmt::format("{}: {}", name, jpeg.message()));
  };
  must(jpeg.read_header());
  check(jpeg, name, options);
  const bool gray = options.mode == ImageReadMode::kGray;
  const int channels = gray ? 1 : 3;
  std::uint8_t* const to = memory(channels, jpeg.height(), jpeg.width());
  if (to == nullptr) {
    at::Tensor image = make_pixels(channels, jpeg.height(), jpeg.width());
    must(read_pixels(jpeg, gray, image.data_ptr<std::uint8_t>()));
    return image;
  }
  must(gray ? read_pixels(jpeg, gray, to) : read_planes(jpeg, to));
  return std::nullopt;
}

}  // namespace lctl
