// What bench/dataloader measures of ours: the data, the limit of the machine, and the loader.
//
// usage: loading make FOLDER IMAGES                   so many images of each kind, and shards of
// them
//        loading limit WORKLOAD FOLDER THREADS        the work alone: memcpy, or read() and the
//        bare decoder loading loader WORKLOAD FOLDER WORKERS       a whole pass of the loader
// WORKLOAD: rows, jpeg64, png64, jpeg224, png224, shards. Prints microseconds a sample.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randperm.h>
#include <fcntl.h>
#include <jpeglib.h>
#include <malloc.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/seconds.h"
#include "worker/trainer/data/images/image_folder.h"
#include "worker/trainer/data/map_data_loader.h"
#include "worker/trainer/data/modules/web_data_module.h"
#include "worker/trainer/data/transforms/transform_factory.h"

namespace {

using lctl::bench::now;

namespace fs = std::filesystem;
using Bytes = std::vector<unsigned char>;

constexpr int kClasses = 10;
constexpr int kShards = 4;
constexpr std::int64_t kRows = 40'000;
constexpr std::int64_t kFeatures = 784;
constexpr std::int64_t kBatch = 64;
constexpr std::int64_t kRowBatch = 256;
constexpr int kRowPasses = 150;   // of rows: a pass takes 10 ms
constexpr int kImagePasses = 10;  // of images

// Smooth shapes with some noise: they compress about as photographs do.
Bytes make_pixels(int size, int number) {
  Bytes rgb(static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3);
  std::uint32_t noise = static_cast<std::uint32_t>(number) * 2654435761U + 1;
  std::size_t at = 0;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      for (int c = 0; c < 3; ++c) {
        noise = noise * 1664525U + 1013904223U;
        const double u = 6.0 * x / size;
        const double v = 6.0 * y / size;
        const double wave = std::sin(u * (1 + number % 5) + c) * std::cos(v * (1 + number % 7) - c);
        const double value = 128 + 90 * wave + static_cast<double>(noise >> 27);
        rgb[at++] = static_cast<unsigned char>(std::min(255.0, std::max(0.0, value)));
      }
    }
  }
  return rgb;
}

Bytes as_jpeg(const Bytes& rgb, int size) {
  jpeg_compress_struct encoder;
  jpeg_error_mgr errors;
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  unsigned char* memory = nullptr;
  unsigned long length = 0;  // NOLINT: libjpeg's type
  jpeg_mem_dest(&encoder, &memory, &length);
  encoder.image_width = static_cast<JDIMENSION>(size);
  encoder.image_height = static_cast<JDIMENSION>(size);
  encoder.input_components = 3;
  encoder.in_color_space = JCS_RGB;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, 85, TRUE);
  jpeg_start_compress(&encoder, TRUE);
  while (encoder.next_scanline < encoder.image_height) {
    const unsigned char* line =
        rgb.data() + std::size_t{3} * encoder.next_scanline * encoder.image_width;
    JSAMPROW row = const_cast<unsigned char*>(line);
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
  Bytes bytes(memory, memory + length);
  std::free(memory);
  return bytes;
}

Bytes as_png(const Bytes& rgb, int size) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(size);
  image.height = static_cast<png_uint_32>(size);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t length = 0;
  png_image_write_to_memory(&image, nullptr, &length, 0, rgb.data(), 0, nullptr);
  Bytes bytes(length);
  png_image_write_to_memory(&image, bytes.data(), &length, 0, rgb.data(), 0, nullptr);
  bytes.resize(length);
  return bytes;
}

void write_file(const fs::path& path, const Bytes& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out) throw std::runtime_error(path.string() + ": cannot be written");
}

void read_file(const std::string& path, Bytes& bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status{};
  if (file < 0 || fstat(file, &status) != 0) throw std::runtime_error(path + ": cannot be read");
  bytes.resize(static_cast<std::size_t>(status.st_size));
  if (read(file, bytes.data(), bytes.size()) != status.st_size)
    throw std::runtime_error(path + ": cannot be read");
  close(file);
}

void add_member(std::ofstream& tar, const std::string& name, const Bytes& bytes) {
  char header[512] = {};
  std::snprintf(header, 100, "%s", name.c_str());
  std::snprintf(header + 100, 8, "%07o", 0644);
  std::snprintf(header + 108, 8, "%07o", 0);
  std::snprintf(header + 116, 8, "%07o", 0);
  std::snprintf(header + 124, 12, "%011zo", bytes.size());
  std::snprintf(header + 136, 12, "%011o", 0);
  std::memset(header + 148, ' ', 8);
  header[156] = '0';
  std::memcpy(header + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(header + 148, 8, "%06o", sum);
  tar.write(header, sizeof header);
  tar.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  const char zeros[512] = {};
  tar.write(zeros, static_cast<std::streamsize>((512 - bytes.size() % 512) % 512));
}

void make(const fs::path& folder, int images) {
  for (const int size : {64, 224}) {
    const std::string width = std::to_string(size);
    std::vector<std::ofstream> shards;
    if (size == 224) {
      fs::create_directories(folder / "shards");
      for (int i = 0; i < kShards; ++i)
        shards.emplace_back(folder / "shards" / ("train-" + std::to_string(i) + ".tar"),
                            std::ios::binary);
    }
    for (int i = 0; i < images; ++i) {
      const Bytes rgb = make_pixels(size, i);
      const std::string name = std::to_string(i % kClasses) + "/" + std::to_string(100000 + i);
      const Bytes jpeg = as_jpeg(rgb, size);
      write_file(folder / ("jpeg" + width) / (name + ".jpg"), jpeg);
      write_file(folder / ("png" + width) / (name + ".png"), as_png(rgb, size));
      if (shards.empty()) continue;
      std::ofstream& shard = shards[static_cast<std::size_t>(i % kShards)];
      const std::string label = std::to_string(i % kClasses);
      add_member(shard, std::to_string(100000 + i) + ".jpg", jpeg);
      add_member(shard, std::to_string(100000 + i) + ".cls", Bytes(label.begin(), label.end()));
    }
    const char end[1024] = {};
    for (std::ofstream& shard : shards) shard.write(end, sizeof end);
  }
}

void decode_jpeg(const Bytes& bytes, Bytes& rgb) {
  jpeg_decompress_struct decoder;
  jpeg_error_mgr errors;
  decoder.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&decoder);
  jpeg_mem_src(&decoder, bytes.data(), bytes.size());
  jpeg_read_header(&decoder, TRUE);
  jpeg_start_decompress(&decoder);
  const std::size_t stride = std::size_t{3} * decoder.output_width;
  rgb.resize(stride * decoder.output_height);
  while (decoder.output_scanline < decoder.output_height) {
    JSAMPROW row = rgb.data() + stride * decoder.output_scanline;
    jpeg_read_scanlines(&decoder, &row, 1);
  }
  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
}

void decode_png(const Bytes& bytes, Bytes& rgb) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  png_image_begin_read_from_memory(&image, bytes.data(), bytes.size());
  image.format = PNG_FORMAT_RGB;
  rgb.resize(PNG_IMAGE_SIZE(image));
  png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr);
}

// Every item of [0, items) once, on so many threads; seconds.
template <typename Work>
double on_threads(int threads, std::int64_t items, Work work) {
  std::atomic<std::int64_t> next = 0;
  std::vector<std::thread> pool;
  const double start = now();
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      auto mine = work();
      for (std::int64_t i = next++; i < items; i = next++) mine(i);
    });
  }
  for (std::thread& thread : pool) thread.join();
  return now() - start;
}

// The gather of random rows and their labels into batches, without a loader around it.
double rows_limit(int threads) {
  const at::Tensor rows = at::rand({kRows, kFeatures});
  const at::Tensor labels = at::arange(kRows, at::kLong);
  const at::Tensor permutation = at::randperm(kRows, at::kLong);  // as a shuffling loader reads
  const auto* order = permutation.const_data_ptr<std::int64_t>();
  const auto* from = rows.const_data_ptr<float>();
  const auto* label = labels.const_data_ptr<std::int64_t>();
  const double seconds = on_threads(threads, kRowPasses * kRows / kRowBatch, [&] {
    return [&, batch = std::vector<float>(kRowBatch * kFeatures),
            batch_labels = std::vector<std::int64_t>(kRowBatch)](std::int64_t number) mutable {
      for (std::int64_t i = 0; i < kRowBatch; ++i) {
        const std::int64_t row = order[(number * kRowBatch + i) % kRows];
        std::memcpy(batch.data() + i * kFeatures, from + row * kFeatures,
                    kFeatures * sizeof(float));
        batch_labels[static_cast<std::size_t>(i)] = label[row];
      }
    };
  });
  return seconds / (kRowPasses * (kRows / kRowBatch) * kRowBatch);
}

// Reading and decoding, without a loader around it; the shards' images as files of their own.
double images_limit(const fs::path& folder, int threads) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  const auto count = static_cast<std::int64_t>(files.size());
  const auto pass = [&] {
    return on_threads(threads, count, [&] {
      return [&, bytes = Bytes(), rgb = Bytes()](std::int64_t i) mutable {
        read_file(files[static_cast<std::size_t>(i)], bytes);
        bytes[0] == 0xFF ? decode_jpeg(bytes, rgb) : decode_png(bytes, rgb);
      };
    });
  };
  pass();  // the files are in the page cache then
  double seconds = 0;
  for (int i = 0; i < kImagePasses; ++i) seconds += pass();
  return seconds / static_cast<double>(kImagePasses * count);
}

// Seconds a sample of whole passes, after one that does not count.
double drain(lctl::DataLoader& loader, int passes) {
  std::int64_t samples = 0;
  double start = 0;
  for (int pass = 0; pass <= passes; ++pass) {
    if (pass == 1) start = now();
    const auto iterator = loader.iterate();
    while (const auto batch = iterator->next()) {
      if (pass > 0) samples += (*batch)[0].tensor().size(0);
    }
  }
  return (now() - start) / static_cast<double>(samples);
}

double loader(const std::string& workload, const fs::path& folder, int workers) {
  if (workload == "rows") {
    lctl::MapDataLoader loader(std::make_shared<lctl::TensorDataset>(std::vector<at::Tensor>{
                                   at::rand({kRows, kFeatures}), at::arange(kRows, at::kLong)}),
                               {.batch_size = kRowBatch, .shuffle = true, .num_workers = workers});
    return drain(loader, kRowPasses);
  }
  if (workload == "shards") {
    lctl::WebDataOptions options;
    options.train = {(folder / "shards").string()};
    options.transforms.train = lctl::transforms::from_yaml("[ToImage]");
    options.loading.batch_size = kBatch;
    options.loading.prefetch.num_workers = workers;
    lctl::WebDataModule data(options);
    data.setup("fit");
    return drain(*data.train_dataloader(), kImagePasses);
  }
  lctl::MapDataLoader loader(std::make_shared<lctl::ImageFolder>((folder / workload).string()),
                             {.batch_size = kBatch, .shuffle = true, .num_workers = workers});
  return drain(loader, kImagePasses);
}

}  // namespace

int main(int argc, char** argv) {
  // As lctl-trainer does.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 16 << 20);
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 3 && words[0] == "make") {
      make(words[1], std::stoi(words[2]));
      return 0;
    }
    if (words.size() != 4) throw std::runtime_error("usage: see the top of bench/loading.cc");
    const fs::path folder = words[2];
    const int threads = std::stoi(words[3]);
    at::manual_seed(0);
    double seconds = 0;
    if (words[0] == "loader") {
      seconds = loader(words[1], folder, threads);
    } else if (words[1] == "rows") {
      seconds = rows_limit(threads);
    } else {
      seconds = images_limit(folder / (words[1] == "shards" ? "jpeg224" : words[1]), threads);
    }
    std::printf("%.3f\n", seconds * 1e6);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loading: %s\n", error.what());
    return 1;
  }
}
