// Data modules.
#include <algorithm>
#include <array>
#include <cstddef>

#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

// The arguments that all data modules share, behind their own.
template <std::size_t N, std::size_t M>
constexpr std::array<Argument, N + M> joined(const Argument (&own)[N],
                                             const std::array<Argument, M>& shared) {
  std::array<Argument, N + M> all{};
  std::copy(own, own + N, all.begin());
  std::copy(shared.begin(), shared.end(), all.begin() + N);
  return all;
}

struct LoadingDefaults {
  std::string_view batch_size = "32";
  std::string_view shuffle = "true";
  std::string_view num_workers = "auto";
};

constexpr std::array<Argument, 10> loading(const LoadingDefaults& defaults) {
  return {{
      {"batch_size", "int", defaults.batch_size, ">= 1", "samples of a batch, on each rank"},
      {"val_batch_size", "int?", "null", ">= 1",
       "for validation, test and predict; null: batch_size"},
      {"shuffle", "bool", defaults.shuffle, "", "new order in each training epoch"},
      {"drop_last", "bool", "false", "", "leave out an incomplete last training batch"},
      {"num_workers", "int|str", defaults.num_workers, "workers",
       "threads that prepare batches; auto: found by measuring; 0: the training thread"},
      {"prefetch_factor", "int", "2", "in [1, 1024]", "batches ahead per worker"},
      {"prefetch_memory", "size", "0", "",
       "batches ahead take at most so much, as in 2GiB; 0: a quarter of what is free"},
      {"pin_memory", "bool", "true", "", "batches in memory that a GPU reads directly"},
      {"persistent_workers", "bool", "true", "", "threads stay from epoch to epoch"},
      {"on_bad_sample", "str", "error", "one of: error, skip",
       "data that cannot be used ends the job, or is left out and counted"},
  }};
}

constexpr std::array<Argument, 13> split_and_loading(std::string_view val_fraction,
                                                     const LoadingDefaults& defaults) {
  const std::array<Argument, 10> shared = loading(defaults);
  std::array<Argument, 13> all = {{
      {"val_fraction", "float", val_fraction, "in [0, 1)", "share for validation"},
      {"test_fraction", "float", "0.0", "in [0, 1)", "share for test"},
      {"split_seed", "int", "42", "", "seed of the split"},
  }};
  std::copy(shared.begin(), shared.end(), all.begin() + 3);
  return all;
}

// Rows in memory are gathered faster than a thread is woken.
constexpr LoadingDefaults kInMemory = {.num_workers = "0"};

constexpr Argument kTrainTransforms = {"train_transforms", "transforms", "[]", "",
                                       "what is done to training images; none: ToTensor"};
constexpr Argument kValTransforms = {"val_transforms", "transforms", "[]", "",
                                     "for validation, test and predict; none: ToTensor"};

constexpr Argument kCsvOwn[] = {
    {"path", "path", kRequired, "", ".csv or .csv.gz with a header line"},
    {"label", "int|str", "-1", "",
     "column of the target: its name, or its index (negative: from the end)"},
    {"scale", "float", "1.0", "not 0", "features are divided by it"},
    {"reshape", "list[int]?", "null", "not 0", "shape of one sample"},
    {"label_dtype", "str", "int64", "one of: int64, float32",
     "class numbers, or values of shape [n, 1]"},
    {"label_scale", "float", "1.0", "not 0", "float32 targets are divided by it"},
    {"rows", "int?", "null", ">= 1", "read only the first so many; null: all"},
    {"allow_nan", "bool", "true", "", "false: a row with NaN or infinity is a bad sample"},
};
constexpr auto kCsv = joined(kCsvOwn, split_and_loading("0.2", kInMemory));

constexpr Argument kTensorOwn[] = {
    {"path", "path", kRequired, "", ".npy, .npz, .safetensors or IDX file"},
    {"features", "str", "x", "", "array of the features; files with one array do not need it"},
    {"target_path", "path?", "null", "", "file of the targets; null: the same"},
    {"target", "str", "y", "", "array of the targets"},
    {"scale", "float", "1.0", "not 0",
     "features become float32 and are divided by it; 1: they stay as they are"},
};
constexpr auto kTensor = joined(kTensorOwn, split_and_loading("0.2", kInMemory));

constexpr Argument kMnistOwn[] = {
    {"data_dir", "folder", kRequired, "",
     "folder or archive: train-images-idx3-ubyte[.gz] and its kin, there or in MNIST/raw"},
    kTrainTransforms,
    kValTransforms,
};
constexpr auto kMnist = joined(kMnistOwn, split_and_loading("0.0833333333333", {}));

constexpr Argument kCifarOwn[] = {
    {"data_dir", "folder", kRequired, "",
     "folder or archive of the binary version: data_batch_1.bin … or train.bin"},
    {"coarse_labels", "bool", "false", "", "CIFAR-100's 20 superclasses"},
    kTrainTransforms,
    kValTransforms,
};
constexpr auto kCifar = joined(kCifarOwn, split_and_loading("0.1", {}));

constexpr Argument kImageFolderOwn[] = {
    {"train", "folder", kRequired, "",
     "a folder with one folder of images for each class, or an archive of one (docs/data.md)"},
    {"val", "folder?", "null", "", "the same for validation; null: val_fraction of train"},
    {"test", "folder?", "null", "", "the same for test; null: test_fraction of train"},
    kTrainTransforms,
    kValTransforms,
};
constexpr auto kImageFolder = joined(kImageFolderOwn, split_and_loading("0.2", {}));

constexpr Argument kTokensOwn[] = {
    {"train", "path", kRequired, "", "token ids one behind the other, little-endian"},
    {"val", "path?", "null", "", "the same for validation"},
    {"test", "path?", "null", "", "the same for test"},
    {"block_size", "int", "256", ">= 1", "tokens of a sample"},
    {"stride", "int?", "null", ">= 1", "tokens from one sample to the next; null: block_size"},
    {"dtype", "str", "uint16", "one of: uint16, uint32", "of an id in the file"},
    {"vocab_size", "int?", "null", ">= 1", "ids must be below it"},
};
constexpr auto kTokens = joined(kTokensOwn, loading(kInMemory));

constexpr Argument kWebOwn[] = {
    {"train", "shards", kRequired, "", "tar shards, as in train-{000..099}.tar"},
    {"val", "shards?", "null", "", "shards for validation"},
    {"test", "shards?", "null", "", "shards for test"},
    {"columns", "list[str]", "[\"jpg;jpeg;png\", cls]", "",
     "what a sample is made of: extensions, alternatives with ; between them"},
    {"shuffle_buffer", "int", "1000", "in [0, 100000000]",
     "samples among which the next is drawn, when shuffle is true"},
    {"samples_per_epoch", "int?", "null", ">= 1",
     "of each rank; shards start over when they run out; null: all samples of its shards"},
    kTrainTransforms,
    kValTransforms,
};
constexpr auto kWeb = joined(kWebOwn, loading({}));

constexpr Argument kSyntheticOwn[] = {
    {"kind", "str", "classification", "one of: classification, regression, binary, tokens",
     "what the targets are"},
    {"num_train", "int", "64", "in [0, 100000000]", "training samples"},
    {"num_val", "int", "32", "in [0, 100000000]", "validation samples"},
    {"num_test", "int", "0", "in [0, 100000000]", "test samples"},
    {"num_features", "int", "8", "in [1, 1000000]", "features of a sample"},
    {"num_classes", "int", "4", "in [1, 1000000]", "classes"},
    {"vocab_size", "int", "16", "in [1, 1000000000]", "different tokens"},
    {"reshape", "list[int]?", "null", "not 0", "shape of one sample"},
    {"nan_index", "int?", "null", ">= 0", "this sample's features are NaN"},
    {"memory_limit", "int?", "null", ">= 1",
     "a batch of more samples fails as if memory had run out"},
    {"seconds_per_sample", "float", "0.0", "in [0, 3600]",
     "making one takes so long, as from a slow disk"},
};
constexpr auto kSynthetic =
    joined(kSyntheticOwn, loading({.batch_size = "16", .shuffle = "false", .num_workers = "0"}));

constexpr Class kData[] = {
    {Kind::kData, "CsvDataModule", kCsv, true,
     "A table in a file; batches are (features, target)."},
    {Kind::kData, "TensorDataModule", kTensor, true,
     "Arrays in a file (NumPy, safetensors, IDX); batches are (features, target)."},
    {Kind::kData, "MnistDataModule", kMnist, true,
     "MNIST, Fashion-MNIST, KMNIST from their files; batches are (images, classes)."},
    {Kind::kData, "CifarDataModule", kCifar, true,
     "CIFAR-10 or CIFAR-100 from their binary files; batches are (images, classes)."},
    {Kind::kData, "ImageFolderDataModule", kImageFolder, true,
     "JPEG and PNG files, a folder for each class; batches are (images, classes)."},
    {Kind::kData, "TokenDataModule", kTokens, true,
     "Text as token ids (nanoGPT's .bin); batches are (tokens, next tokens)."},
    {Kind::kData, "WebDataModule", kWeb, true,
     "WebDataset's tar shards, streamed; batches are lists of the columns."},
    {Kind::kData, "SyntheticDataModule", kSynthetic, true,
     "Made-up data, the same everywhere; for tests."},
};

}  // namespace

std::span<const Class> data_classes() { return kData; }

}  // namespace lctl::jobspec::keys
