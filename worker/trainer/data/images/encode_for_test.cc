#include "worker/trainer/data/images/encode_for_test.h"

#include <cstdio>
// After cstdio, which it needs.
#include <jpeglib.h>
#include <png.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace lctl {
namespace {

// Slopes and a pattern: all bytes occur, and rows differ.
std::vector<std::uint8_t> row_of(int y, std::size_t bytes) {
  std::vector<std::uint8_t> row(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    row[i] = static_cast<std::uint8_t>(i * 11 + static_cast<std::size_t>(y) * 29 + (i * i) % 7);
  return row;
}

}  // namespace

std::string encode_jpeg(const JpegForTest& what) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_height = static_cast<JDIMENSION>(what.height);
  jpeg.image_width = static_cast<JDIMENSION>(what.width);
  jpeg.input_components = what.components;
  jpeg.in_color_space = what.components == 1   ? JCS_GRAYSCALE
                        : what.components == 3 ? JCS_RGB
                                               : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  if (what.progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < what.height; ++y) {
    std::vector<std::uint8_t> row =
        row_of(y, static_cast<std::size_t>(what.width) * static_cast<std::size_t>(what.components));
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&jpeg, &pointer, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<const char*>(memory), size);
  std::free(memory);
  return file;
}

std::string encode_png(const PngForTest& what) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp from, png_bytep bytes, std::size_t count) {
        static_cast<std::string*>(png_get_io_ptr(from))
            ->append(reinterpret_cast<const char*>(bytes), count);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(what.width),
               static_cast<png_uint_32>(what.height), what.depth, what.color,
               what.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (what.color == PNG_COLOR_TYPE_PALETTE) {
    std::vector<png_color> palette(std::size_t{1} << what.depth);
    for (std::size_t i = 0; i < palette.size(); ++i) {
      palette[i] = {static_cast<png_byte>(i * 37), static_cast<png_byte>(i * 5),
                    static_cast<png_byte>(255 - i)};
    }
    png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  }
  png_write_info(png, info);
  std::vector<std::vector<std::uint8_t>> rows;
  std::vector<png_bytep> pointers;
  rows.reserve(static_cast<std::size_t>(what.height));
  for (int y = 0; y < what.height; ++y) {
    rows.push_back(row_of(y, png_get_rowbytes(png, info)));
    pointers.push_back(rows.back().data());
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string cut(const std::string& file, std::size_t bytes) { return file.substr(0, bytes); }

std::string with_bit_turned(const std::string& file, std::size_t bit) {
  std::string out = file;
  out[bit / 8] = static_cast<char>(static_cast<unsigned char>(out[bit / 8]) ^ (1U << bit % 8));
  return out;
}

}  // namespace lctl
