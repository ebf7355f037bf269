#include "worker/trainer/data/modules/image_data_modules.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/formats/labelled_images.h"
#include "worker/trainer/data/images/image_folder.h"
#include "worker/trainer/data/modules/input_files.h"
#include "worker/trainer/data/modules/transformed_images.h"
#include "worker/trainer/data/transforms/transform_factory.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

// The first of those files that is there.
std::string find_file(const std::string& data_dir, const std::vector<std::string>& names,
                      const std::string& what) {
  std::error_code error;
  for (const std::string& name : names) {
    const fs::path path = fs::path(data_dir) / name;
    if (fs::exists(path, error)) return path.string();
  }
  throw MisconfigurationException(fmt::format("{}: there are no {} here; looked for {}", data_dir,
                                              what, fmt::join(names, ", ")));
}

std::string mnist_file(const std::string& data_dir, const std::string& name) {
  std::vector<std::string> names;
  for (const char* folder : {"", "MNIST/raw/", "FashionMNIST/raw/", "KMNIST/raw/"}) {
    names.push_back(folder + name);
    names.push_back(folder + name + ".gz");
  }
  return find_file(data_dir, names, "MNIST files");
}

LabelledImages mnist(const std::string& data_dir, const std::string& prefix) {
  LabelledImages all = load_mnist(mnist_file(data_dir, prefix + "-images-idx3-ubyte"),
                                  mnist_file(data_dir, prefix + "-labels-idx1-ubyte"));
  all.images = all.images.unsqueeze(1);  // [n, 1, 28, 28]
  return all;
}

// The training images, split, each part with its own transform.
DatasetSplits split_images(const LabelledImages& train, const at::Tensor& labels,
                           const ImageTransforms& how, const SplitOptions& options) {
  const auto augmented = std::make_shared<TransformedImages>(train.images, labels, how.train);
  const auto plain = std::make_shared<TransformedImages>(train.images, labels, how.val);
  return {split(augmented, options).train, split(plain, options).val, nullptr};
}

}  // namespace

ImageTransforms or_to_tensor(ImageTransforms given) {
  if (given.train != nullptr && given.val != nullptr) return given;
  const transforms::TransformPtr to_tensor = transforms::from_yaml("[ToTensor]");
  if (given.train == nullptr) given.train = to_tensor;
  if (given.val == nullptr) given.val = to_tensor;
  return given;
}

MnistDataModule::MnistDataModule(MnistOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {
  check(options_.split);
  options_.transforms = or_to_tensor(options_.transforms);
}

DatasetSplits MnistDataModule::load() {
  const std::string data_dir = local_folder(options_.data_dir);
  const LabelledImages train = mnist(data_dir, "train");
  const LabelledImages test = mnist(data_dir, "t10k");
  DatasetSplits splits = split_images(train, train.labels, options_.transforms, options_.split);
  splits.test =
      std::make_shared<TransformedImages>(test.images, test.labels, options_.transforms.val);
  return splits;
}

CifarDataModule::CifarDataModule(CifarOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {
  check(options_.split);
  options_.transforms = or_to_tensor(options_.transforms);
}

DatasetSplits CifarDataModule::load() {
  const std::string first = find_file(local_folder(options_.data_dir),
                                      {"data_batch_1.bin", "cifar-10-batches-bin/data_batch_1.bin",
                                       "train.bin", "cifar-100-binary/train.bin"},
                                      "CIFAR files of the binary version");
  const fs::path folder = fs::path(first).parent_path();
  LabelledImages train;
  LabelledImages test;
  if (fs::path(first).filename() == "train.bin") {
    train = load_cifar100(first);
    test = load_cifar100((folder / "test.bin").string());
  } else {
    if (options_.coarse_labels)
      throw MisconfigurationException(
          fmt::format("{}: coarse_labels are CIFAR-100's, this is CIFAR-10", folder.string()));
    std::vector<std::string> batches;
    for (int i = 1; i <= 5; ++i)
      batches.push_back((folder / fmt::format("data_batch_{}.bin", i)).string());
    train = load_cifar10(batches);
    test = load_cifar10({(folder / "test_batch.bin").string()});
  }
  const auto labels = [this](const LabelledImages& images) {
    return options_.coarse_labels ? images.coarse_labels : images.labels;
  };
  DatasetSplits splits = split_images(train, labels(train), options_.transforms, options_.split);
  splits.test =
      std::make_shared<TransformedImages>(test.images, labels(test), options_.transforms.val);
  return splits;
}

ImageFolderDataModule::ImageFolderDataModule(ImageFolderOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {
  check(options_.split);
  options_.transforms = or_to_tensor(options_.transforms);
}

std::vector<std::string> ImageFolderDataModule::folders() const {
  std::vector<std::string> all = {options_.train};
  if (options_.val) all.push_back(*options_.val);
  if (options_.test) all.push_back(*options_.test);
  return all;
}

DatasetSplits ImageFolderDataModule::load() {
  const auto folder = [this](const std::string& root, const transforms::TransformPtr& how) {
    ImageFolder::Options opening;
    opening.transform = how;
    return std::make_shared<ImageFolder>(local_image_folder(root), opening);
  };
  const auto train = folder(options_.train, options_.transforms.train);
  const auto other = [&](const std::string& root) -> std::shared_ptr<const Dataset> {
    const auto images = folder(root, options_.transforms.val);
    if (images->classes() != train->classes()) {
      throw MisconfigurationException(fmt::format(
          "{} has the classes {}, but {} has {}; they must be the same", root,
          fmt::join(images->classes(), ", "), options_.train, fmt::join(train->classes(), ", ")));
    }
    return images;
  };
  SplitOptions shares = options_.split;
  if (options_.val) shares.val_fraction = 0;
  if (options_.test) shares.test_fraction = 0;
  DatasetSplits splits = split(train, shares);
  if (shares.val_fraction > 0 || shares.test_fraction > 0) {
    const DatasetSplits plain = split(folder(options_.train, options_.transforms.val), shares);
    splits.val = plain.val;
    splits.test = plain.test;
  }
  if (options_.val) splits.val = other(*options_.val);
  if (options_.test) splits.test = other(*options_.test);
  return splits;
}

}  // namespace lctl
