#include "worker/trainer/data/images/image_folder.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/image_file_reader.h"
#include "worker/trainer/data/images/image_rows.h"
#include "worker/trainer/data/tensor_view.h"

namespace lctl {
namespace {

// torchvision's IMG_EXTENSIONS in two parts.
constexpr std::array<std::string_view, 3> kDecoded = {".jpg", ".jpeg", ".png"};
constexpr std::array<std::string_view, 6> kNotDecoded = {".ppm", ".bmp",  ".pgm",
                                                         ".tif", ".tiff", ".webp"};

// Ends `name`, in capitals or not, with one of them?
template <std::size_t N>
bool has_extension(std::string_view name, const std::array<std::string_view, N>& extensions) {
  const auto same = [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
  };
  return std::any_of(extensions.begin(), extensions.end(), [&](std::string_view extension) {
    if (name.size() < extension.size()) return false;
    const std::string_view end = name.substr(name.size() - extension.size());
    return std::equal(end.begin(), end.end(), extension.begin(), same);
  });
}

// Of the files of one class those that are images.
void add_images(const std::string& root, const NameList& all, NameList& images) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string_view path = all[i];
    if (has_extension(path, kNotDecoded)) {
      throw MisconfigurationException(
          fmt::format("{}/{}: images of this format are not decoded here, only {}; convert it, or "
                      "move it out of the folder",
                      root, path, fmt::join(kDecoded, ", ")));
    }
    if (!has_extension(path, kDecoded)) continue;
    const std::size_t slash = path.rfind('/');
    images.add(path.substr(0, slash), path.substr(slash + 1));
  }
}

}  // namespace

ImageFolder::ImageFolder(std::string root, Options options)
    : root_(std::move(root)), options_(std::move(options)) {
  if (options_.transform != nullptr && options_.transform->is_identity())
    options_.transform = nullptr;
  while (root_.size() > 1 && root_.ends_with('/')) root_.pop_back();
  classes_ = subfolders(root_);
  if (classes_.empty()) {
    throw MisconfigurationException(fmt::format("Couldn't find any class folder in {}.", root_));
  }
  std::vector<std::string_view> empty;
  for (const std::string& name : classes_) {
    first_.push_back(files_.size());
    NameList all;
    walk_files(root_, name, all);
    add_images(root_, all, files_);
    if (files_.size() == first_.back()) empty.push_back(name);
  }
  if (!empty.empty() && !options_.allow_empty) {
    throw MisconfigurationException(
        fmt::format("{}: Found no valid file for the classes {}. Supported extensions are: {}",
                    root_, fmt::join(empty, ", "), fmt::join(kDecoded, ", ")));
  }
  files_.shrink_to_fit();
  targets_ = at::empty({size()}, at::kLong);
  for (std::int64_t i = 0; i < size(); ++i)
    targets_.mutable_data_ptr<std::int64_t>()[i] = class_of(i);
}

std::string ImageFolder::path(std::int64_t index) const {
  std::string path = root_;
  path += '/';
  return path += files_[static_cast<std::size_t>(index)];
}

std::int64_t ImageFolder::target(std::int64_t index) const {
  return targets_.const_data_ptr<std::int64_t>()[index];
}

std::int64_t ImageFolder::class_of(std::int64_t index) const {
  // The last class that begins at or before it: empty classes begin where the next one does.
  const auto behind =
      std::upper_bound(first_.begin(), first_.end(), static_cast<std::size_t>(index));
  return behind - first_.begin() - 1;
}

Batch ImageFolder::get(std::int64_t index, RandomStream& random) const {
  static thread_local ImageFileReader reader;
  const std::string name = path(index);
  at::Tensor image = decode_image(reader.read(name), name, options_.decode);
  if (options_.transform != nullptr) {
    try {
      image = options_.transform->apply(image, random);
    } catch (...) {
      handle_sample_error(name, nullptr);  // throws it again, with the name
    }
  }
  return Batch::List{std::move(image), view_of(targets_, {}, {}, index)};
}

void ImageFolder::put_rows(const BatchRequest& request, BatchBuilder& batch) const {
  if (options_.transform != nullptr) return Dataset::put_rows(request, batch);
  static thread_local ImageFileReader reader;
  for (std::size_t i = 0; i < request.indices.size(); ++i) {
    const std::int64_t index = request.indices[i];
    try {
      const std::string name = path(index);
      put_image(batch, request.first_row + i, {Batch(), view_of(targets_, {}, {}, index)}, 0,
                reader.read(name), name, options_.decode);
    } catch (...) {
      handle_sample_error(fmt::format("sample {}", index), request.skipped);
    }
  }
}

}  // namespace lctl
