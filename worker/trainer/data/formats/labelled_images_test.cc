#include "worker/trainer/data/formats/labelled_images.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/dataset.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kTestdata = "worker/trainer/data/formats/testdata/";

template <typename T>
std::vector<T> flat(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<T>(), whole.const_data_ptr<T>() + whole.numel()};
}

// Records of `labels`, then pixels that count on from `first` for each record.
std::string write_records(const std::string& name, const std::vector<std::string>& labels,
                          int first) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / name).string();
  std::ofstream out(path, std::ios::binary);
  for (std::size_t record = 0; record < labels.size(); ++record) {
    out << labels[record];
    for (int i = 0; i < 3072; ++i) out.put(static_cast<char>(first + static_cast<int>(record) + i));
  }
  return path;
}

template <typename Fn>
std::string bad_sample(const Fn& fn) {
  try {
    fn();
    return "";
  } catch (const BadSample& error) {
    return error.what();
  }
}

TEST(LabelledImagesTest, MnistIsReadFromPlainAndCompressedFiles) {
  for (const char* images : {"images-idx3-ubyte", "images-idx3-ubyte.gz"}) {
    const LabelledImages data =
        load_mnist(std::string(kTestdata) + images, std::string(kTestdata) + "labels-idx1-ubyte");
    EXPECT_EQ(data.images.sizes(), (std::vector<std::int64_t>{2, 4, 3}));
    EXPECT_EQ(flat<std::uint8_t>(data.images)[23], 23);
    EXPECT_THAT(flat<std::int64_t>(data.labels), ElementsAre(5, 9));
  }
}

TEST(LabelledImagesTest, MnistFilesThatDoNotBelongTogetherAreRefused) {
  const std::string images = std::string(kTestdata) + "images-idx3-ubyte";
  const std::string labels = std::string(kTestdata) + "labels-idx1-ubyte";
  EXPECT_THAT(bad_sample([&] { load_mnist(labels, images); }), HasSubstr("images are uint8 [n"));
  EXPECT_THAT(bad_sample([&] { load_mnist(images, images); }), HasSubstr("labels are uint8 [n]"));
}

TEST(LabelledImagesTest, Cifar10KeepsColourPlanesAndJoinsFiles) {
  const std::string one = write_records("data_batch_1.bin", {"\x03", "\x09"}, 0);
  const std::string two = write_records("data_batch_2.bin", {std::string(1, '\0')}, 100);
  const LabelledImages first = load_cifar10({one});
  EXPECT_EQ(first.images.sizes(), (std::vector<std::int64_t>{2, 3, 32, 32}));
  EXPECT_EQ(first.images[1][2][31][30].item<std::uint8_t>(), (1 + 3070) % 256);
  const LabelledImages both = load_cifar10({one, two});
  EXPECT_THAT(flat<std::int64_t>(both.labels), ElementsAre(3, 9, 0));
  EXPECT_EQ(both.images[2][0][0][1].item<std::uint8_t>(), 101);
  EXPECT_FALSE(both.coarse_labels.defined());
}

TEST(LabelledImagesTest, Cifar100HasCoarseAndFineLabels) {
  const LabelledImages data =
      load_cifar100(write_records("train.bin", {"\x13\x63", "\x01\x02"}, 7));
  EXPECT_THAT(flat<std::int64_t>(data.labels), ElementsAre(99, 2));
  EXPECT_THAT(flat<std::int64_t>(data.coarse_labels), ElementsAre(19, 1));
  EXPECT_EQ(data.images[0][0][0][0].item<std::uint8_t>(), 7);
}

TEST(LabelledImagesTest, BatchesOfMappedImagesAreCopies) {
  const std::string path = write_records("test_batch.bin", {"\x03", "\x09"}, 0);
  LabelledImages data = load_cifar10({path});
  const TensorDataset set({data.images, data.labels});
  std::filesystem::remove(path);
  data = {};
  const std::vector<std::int64_t> indices = {1, 1};
  const Batch batch = set.get_batch({.indices = indices});
  EXPECT_TRUE(batch[0].tensor().is_contiguous());
  EXPECT_EQ(batch[0].tensor()[1][0][0][0].item<std::uint8_t>(), 1);
}

TEST(LabelledImagesTest, DamagedCifarFilesNameTheRecord) {
  const std::string path = write_records("bad.bin", {"\x03", "\x0a"}, 0);
  EXPECT_THAT(bad_sample([&] { load_cifar10({path}); }),
              HasSubstr("bad.bin: record 1 (at byte 3073) has label 10, but there are 10 classes"));
  EXPECT_THAT(bad_sample([&] { load_cifar100(path); }),
              HasSubstr("6146 bytes are no whole number"));
  std::filesystem::resize_file(path, 0);
  EXPECT_THAT(bad_sample([&] { load_cifar10({path}); }), HasSubstr("0 bytes are no whole number"));
}

}  // namespace
}  // namespace lctl
