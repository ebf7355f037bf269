// torchvision's ImageFolder: a folder of images for each class.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/images/decode_image.h"
#include "worker/trainer/data/images/folder_walk.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl {

// root/cat/1.jpg, root/cat/more/2.png, root/dog/1.JPEG: the classes are the folders in `root`, in
// the order of their names; the samples are the files below them, links followed, in torchvision's
// order. A sample is (image, class): what the transform makes of a uint8 tensor [3, height, width],
// and an int64 scalar.
//
// get() throws BadSample, naming the file, for one that cannot be opened or decoded.
// Thread rule: immutable.
class ImageFolder final : public Dataset {
 public:
  struct Options {
    std::shared_ptr<const transforms::Transform> transform;  // null: none
    DecodeOptions decode;
    bool allow_empty = false;  // classes without an image
  };

  // Reads the folders, not the files. Throws std::runtime_error for a folder that cannot be read;
  // MisconfigurationException, with torchvision's words, when there are no classes, or classes
  // without images, and for images of a format that is not decoded here (.bmp, .webp, …): without
  // them the data would not be what torchvision sees. Files of other names are passed over.
  ImageFolder(std::string root, Options options);
  explicit ImageFolder(std::string root) : ImageFolder(std::move(root), Options()) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
  Batch get(std::int64_t index, RandomStream& random) const override;
  void put_rows(const BatchRequest& request, BatchBuilder& batch) const override;

  const std::vector<std::string>& classes() const { return classes_; }
  std::string path(std::int64_t index) const;
  std::int64_t target(std::int64_t index) const;  // index in classes()

 private:
  std::int64_t class_of(std::int64_t index) const;

  std::string root_;
  Options options_;
  std::vector<std::string> classes_;
  NameList files_;                  // from the root
  std::vector<std::size_t> first_;  // of each class in files_
  at::Tensor targets_;              // int64 [size]: a sample's target is a view of it
};

}  // namespace lctl
