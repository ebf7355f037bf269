// Classes, samples and their order are torchvision's.
#include "worker/trainer/data/images/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/encode_for_test.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageFolderTest : public testing::Test {
 protected:
  ImageFolderTest()
      : root_(testing::TempDir() + "/" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path path = std::filesystem::path(root_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  void image(const std::string& name) const { write(name, encode_jpeg()); }

  std::vector<std::string> samples(const ImageFolder& data) const {
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < data.size(); ++i)
      all.push_back(data.path(i).substr(root_.size() + 1) + " " + std::to_string(data.target(i)));
    return all;
  }

  std::string refusal(const ImageFolder::Options& options = {}) const {
    try {
      const ImageFolder data(root_, options);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "accepted";
  }

  static Batch get(const ImageFolder& data, std::int64_t index) {
    RandomStream random(1, static_cast<std::uint64_t>(index), 0);
    return data.get(index, random);
  }

  std::string root_;
};

// The order is what torchvision 0.26 gives for the same tree: '-' sorts before '/', capitals before
// small letters.
TEST_F(ImageFolderTest, SamplesHaveTorchvisionsOrderAndClasses) {
  for (const char* name : {"dog/2.jpg", "dog/10.jpg", "dog/Z.JPEG", "cat/a/x.PNG", "cat/a-b/y.jpg",
                           "cat/z.jpg", "cat/a/b/w.jpg", "Zebra/1.jpg", "cat/notes.txt", "x.jpg"})
    image(name);
  const ImageFolder data(root_ + "/");
  EXPECT_THAT(data.classes(), ElementsAre("Zebra", "cat", "dog"));
  EXPECT_THAT(samples(data),
              ElementsAre("Zebra/1.jpg 0", "cat/z.jpg 1", "cat/a/x.PNG 1", "cat/a-b/y.jpg 1",
                          "cat/a/b/w.jpg 1", "dog/10.jpg 2", "dog/2.jpg 2", "dog/Z.JPEG 2"));
}

TEST_F(ImageFolderTest, ASampleIsAnImageAndItsClass) {
  image("cat/1.jpg");
  write("dog/1.png", encode_png({.color = 0}));
  const ImageFolder data(root_);
  const auto [picture, target] = get(data, 1).tensors<2>();
  EXPECT_EQ(picture.sizes(), (std::vector<std::int64_t>{3, 9, 17}));
  EXPECT_EQ(target.scalar_type(), at::kLong);
  EXPECT_EQ(target.dim(), 0);
  EXPECT_EQ(target.item<std::int64_t>(), 1);
}

TEST_F(ImageFolderTest, TheTransformGetsTheStreamOfTheSample) {
  class Draw final : public transforms::Transform {
    at::Tensor apply(const at::Tensor& image, RandomStream& random) const override {
      if (random.below(1000) == -1) return {};
      throw BadSample("drawn " + std::to_string(random.below(1 << 30)) + " " +
                      std::to_string(image.dim()));
    }
  };
  image("cat/1.jpg");
  const ImageFolder data(root_, {.transform = std::make_shared<Draw>()});
  RandomStream same(1, 0, 0);
  same.below(1000);
  try {
    get(data, 0);
    FAIL();
  } catch (const BadSample& error) {
    EXPECT_EQ(error.what(),
              root_ + "/cat/1.jpg: drawn " + std::to_string(same.below(1 << 30)) + " 3");
  }
}

TEST_F(ImageFolderTest, FilesThatCannotBeUsedAreBadSamplesThatNameThem) {
  image("cat/1.jpg");
  image("cat/2.jpg");
  std::filesystem::create_symlink("nowhere", root_ + "/cat/3.jpg");
  write("cat/4.jpg", "no image");
  const ImageFolder data(root_);
  std::filesystem::remove(root_ + "/cat/1.jpg");
  const auto message = [&](std::int64_t index) {
    try {
      get(data, index);
    } catch (const BadSample& error) {
      return std::string(error.what());
    }
    return std::string("good");
  };
  EXPECT_EQ(message(0), root_ + "/cat/1.jpg: cannot be opened: No such file or directory");
  EXPECT_EQ(message(1), "good");
  EXPECT_EQ(message(2), root_ + "/cat/3.jpg: cannot be opened: No such file or directory");
  EXPECT_THAT(message(3), HasSubstr("/cat/4.jpg: neither a JPEG nor a PNG image"));
}

TEST_F(ImageFolderTest, RowsOfABatchAreWhatGetGives) {
  image("cat/1.jpg");
  write("cat/2.png", encode_png());
  write("cat/3.jpg", "no image");
  image("dog/1.jpg");
  const ImageFolder data(root_);
  const auto batch_of = [&](const std::vector<std::int64_t>& indices, SkippedSamples* skipped) {
    return data.get_batch({.indices = indices, .skipped = skipped});
  };
  const std::vector<std::int64_t> all = {3, 2, 1, 0};
  EXPECT_THROW(batch_of(all, nullptr), BadSample);
  SkippedSamples skipped;
  const auto [pictures, targets] = batch_of(all, &skipped).tensors<2>();
  EXPECT_EQ(skipped.count(), 1);
  EXPECT_TRUE(pictures.is_contiguous());
  ASSERT_EQ(pictures.size(0), 3);
  const std::vector<std::int64_t> good = {3, 1, 0};
  for (std::size_t row = 0; row < good.size(); ++row) {
    const auto [picture, target] = get(data, good[row]).tensors<2>();
    EXPECT_TRUE(pictures[static_cast<std::int64_t>(row)].equal(picture));
    EXPECT_TRUE(targets[static_cast<std::int64_t>(row)].equal(target));
  }
  write("cat/3.jpg", encode_jpeg({.height = 10}));
  EXPECT_THROW(batch_of(all, nullptr), std::invalid_argument);  // of another size
}

// torchvision's words.
TEST_F(ImageFolderTest, ClassesWithoutImagesAreRefusedUnlessAllowed) {
  image("cat/1.jpg");
  write("bird/notes.txt", "");
  write("ant/notes.txt", "");
  image("dog/1.jpg");
  EXPECT_EQ(refusal(), root_ +
                           ": Found no valid file for the classes ant, bird. Supported extensions "
                           "are: .jpg, .jpeg, .png");
  const ImageFolder data(root_, {.allow_empty = true});
  EXPECT_THAT(samples(data), ElementsAre("cat/1.jpg 2", "dog/1.jpg 3"));
}

TEST_F(ImageFolderTest, FoldersThatAreNoImageFoldersAreRefused) {
  EXPECT_EQ(refusal(), "Couldn't find any class folder in " + root_ + ".");
  image("cat/1.jpg");
  write("cat/2.WebP", "");
  EXPECT_THAT(refusal(), HasSubstr("/cat/2.WebP: images of this format are not decoded here, only "
                                   ".jpg, .jpeg, .png; convert it"));
  std::filesystem::remove_all(root_);
  EXPECT_EQ(refusal(), root_ + ": the folder cannot be read: No such file or directory");
}

TEST_F(ImageFolderTest, LinksAreFollowedButNotInCircles) {
  const std::string elsewhere = root_ + "_elsewhere";
  std::filesystem::create_directories(elsewhere + "/deep");
  std::ofstream(elsewhere + "/deep/1.jpg") << "x";
  std::filesystem::create_directory_symlink(elsewhere, root_ + "/cat");
  EXPECT_THAT(samples(ImageFolder(root_)), ElementsAre("cat/deep/1.jpg 0"));
  std::filesystem::create_directory_symlink(root_, elsewhere + "/deep/back");
  EXPECT_THAT(refusal(), HasSubstr("deep/back: is a link to a folder that it lies in"));
  std::filesystem::remove_all(elsewhere);
}

}  // namespace
}  // namespace lctl
