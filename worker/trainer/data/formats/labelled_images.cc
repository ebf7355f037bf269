#include "worker/trainer/data/formats/labelled_images.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <stdexcept>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/idx.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kPixels = 3 * kSide * kSide;

// One byte of each record, as class numbers below `classes`.
at::Tensor labels_at(const SharedBytes& file, std::int64_t records, std::int64_t record_size,
                     std::int64_t offset, std::int64_t classes) {
  at::Tensor labels = at::empty({records}, at::kLong);
  auto* out = labels.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < records; ++i) {
    out[i] = static_cast<unsigned char>(file.data()[i * record_size + offset]);
    if (out[i] < classes) continue;
    throw BadSample(
        fmt::format("{}: record {} (at byte {}) has label {}, but there are {} classes: the file "
                    "is damaged, or "
                    "of another data set",
                    file.name(), i, i * record_size, out[i], classes));
  }
  return labels;
}

// Records of `labels` bytes, then 3072 pixels.
std::int64_t count_records(const SharedBytes& file, std::int64_t record_size) {
  const auto size = static_cast<std::int64_t>(file.size());
  if (size == 0 || size % record_size != 0) {
    throw BadSample(
        fmt::format("{}: {} bytes are no whole number of records of {} bytes: the file is cut off, "
                    "or not the binary version of the data set",
                    file.name(), size, record_size));
  }
  return size / record_size;
}

at::Tensor pixels_of(const SharedBytes& file, std::int64_t records, std::int64_t record_size) {
  return at::from_blob(
      file.data() + (record_size - kPixels), {records, 3, kSide, kSide},
      {record_size, kSide * kSide, kSide, 1}, [owner = file.owner()](void*) {}, at::kByte);
}

}  // namespace

LabelledImages load_mnist(const std::string& images_path, const std::string& labels_path) {
  LabelledImages data;
  data.images = read_idx(SharedBytes::map(images_path));
  const at::Tensor labels = read_idx(SharedBytes::map(labels_path));
  if (data.images.dim() != 3 || data.images.scalar_type() != at::kByte) {
    throw BadSample(fmt::format("{}: {} dimensions of {}; images are uint8 [n, height, width]",
                                images_path, data.images.dim(),
                                c10::toString(data.images.scalar_type())));
  }
  if (labels.dim() != 1 || labels.scalar_type() != at::kByte) {
    throw BadSample(fmt::format("{}: {} dimensions of {}; labels are uint8 [n]", labels_path,
                                labels.dim(), c10::toString(labels.scalar_type())));
  }
  if (labels.size(0) != data.images.size(0)) {
    throw BadSample(fmt::format("{} has {} labels, {} has {} images: they do not belong together",
                                labels_path, labels.size(0), images_path, data.images.size(0)));
  }
  data.labels = labels.to(at::kLong);
  return data;
}

LabelledImages load_cifar10(const std::vector<std::string>& paths) {
  if (paths.empty()) throw std::invalid_argument("load_cifar10: no files are given");
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> labels;
  for (const std::string& path : paths) {
    const SharedBytes file = SharedBytes::map(path);
    const std::int64_t records = count_records(file, 1 + kPixels);
    labels.push_back(labels_at(file, records, 1 + kPixels, 0, 10));
    images.push_back(pixels_of(file, records, 1 + kPixels));
  }
  if (paths.size() == 1) return {images[0], labels[0], {}};
  return {at::cat(images), at::cat(labels), {}};
}

LabelledImages load_cifar100(const std::string& path) {
  const SharedBytes file = SharedBytes::map(path);
  const std::int64_t records = count_records(file, 2 + kPixels);
  return {pixels_of(file, records, 2 + kPixels), labels_at(file, records, 2 + kPixels, 1, 100),
          labels_at(file, records, 2 + kPixels, 0, 20)};
}

}  // namespace lctl
