// Well-known image data sets: MNIST and its kin, CIFAR, and folders of images.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/modules/map_data_module.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl {

// What is done to images; null: only what makes them float32 between 0 and 1 (torchvision's
// ToTensor).
struct ImageTransforms {
  transforms::TransformPtr train;
  transforms::TransformPtr val;  // also for test and predict
};

// ToTensor in place of null ones.
ImageTransforms or_to_tensor(ImageTransforms given);

// Names and defaults are those of the job file.
struct MnistOptions {
  std::string data_dir;  // folder or archive: train-images-idx3-ubyte[.gz] …, there or in MNIST/raw
  ImageTransforms transforms;
  SplitOptions split = {.val_fraction = 1.0 / 12};  // of the 60,000; the 10,000 are for test
  LoadingOptions loading;
};

// Samples are (float32 [1, 28, 28], class). Also Fashion-MNIST, KMNIST: the same files.
class MnistDataModule final : public MapDataModule {
 public:
  explicit MnistDataModule(MnistOptions options);
  std::string type_name() const override { return "MnistDataModule"; }

 private:
  std::vector<std::string> folders() const override { return {options_.data_dir}; }
  DatasetSplits load() override;

  MnistOptions options_;
};

struct CifarOptions {
  std::string
      data_dir;  // folder or archive: data_batch_1.bin … or train.bin, there or in a subfolder
  bool coarse_labels = false;  // CIFAR-100: the 20 superclasses
  ImageTransforms transforms;
  SplitOptions split = {.val_fraction = 0.1};  // of the 50,000; the 10,000 are for test
  LoadingOptions loading;
};

// Samples are (float32 [3, 32, 32], class); CIFAR-10 or CIFAR-100 by the files that are there.
class CifarDataModule final : public MapDataModule {
 public:
  explicit CifarDataModule(CifarOptions options);
  std::string type_name() const override { return "CifarDataModule"; }

 private:
  std::vector<std::string> folders() const override { return {options_.data_dir}; }
  DatasetSplits load() override;

  CifarOptions options_;
};

struct ImageFolderOptions {
  std::string train;               // folder with one folder for each class, or an archive of one
  std::optional<std::string> val;  // unset = val_fraction of train
  std::optional<std::string> test;
  ImageTransforms transforms;
  SplitOptions split;  // counts where val or test is not given
  LoadingOptions loading;
};

// torchvision's ImageFolder for each stage; classes are those of `train`.
class ImageFolderDataModule final : public MapDataModule {
 public:
  explicit ImageFolderDataModule(ImageFolderOptions options);
  std::string type_name() const override { return "ImageFolderDataModule"; }

 private:
  std::vector<std::string> folders() const override;
  DatasetSplits load() override;

  ImageFolderOptions options_;
};

}  // namespace lctl
