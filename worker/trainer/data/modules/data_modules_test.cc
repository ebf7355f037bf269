#include <ATen/Context.h>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/data/modules/csv_data_module.h"
#include "worker/trainer/data/modules/synthetic_data_module.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::vector<T> flat(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<T>(), whole.const_data_ptr<T>() + whole.numel()};
}

class CsvDataModuleTest : public ::testing::Test {
 protected:
  CsvDataModuleTest() : file_(std::filesystem::path(testing::TempDir()) / "rows.csv") {
    std::ofstream out(file_);
    out << "x0,x1,target\n";
    for (int i = 0; i < 10; ++i) out << i << ',' << 2 * i << ',' << i % 3 << '\n';
  }
  CsvOptions options() const {
    CsvOptions options;
    options.path = file_.string();
    options.loading.shuffle = false;
    options.loading.batch_size = 8;
    return options;
  }
  static Batch first_batch(DataLoader& loader) { return *loader.iterate()->next(); }
  std::filesystem::path file_;
};

TEST_F(CsvDataModuleTest, SplitsScalesAndTakesTheLabelByName) {
  CsvOptions wanted = options();
  wanted.label = "target";
  wanted.scale = 2.0;
  CsvDataModule module(wanted);
  module.setup("fit");
  const Batch batch = first_batch(*module.train_dataloader());
  EXPECT_THAT(flat<float>(batch[0].tensor().select(1, 1)), ElementsAre(2, 6, 1, 8, 4, 5, 0, 9));
  EXPECT_THAT(flat<std::int64_t>(batch[1].tensor()), ElementsAre(2, 0, 1, 2, 1, 2, 0, 0));
  EXPECT_EQ(module.val_dataloader().at(0)->size(), 1);
  EXPECT_TRUE(module.test_dataloader().empty());
}

TEST_F(CsvDataModuleTest, FloatLabelsAreScaledAndHaveTheirOwnDimension) {
  CsvOptions wanted = options();
  wanted.label = 1;
  wanted.label_dtype = "float32";
  wanted.label_scale = 4.0;
  wanted.reshape = {2, 1};
  wanted.split.val_fraction = 0.0;
  CsvDataModule module(wanted);
  module.setup("fit");
  const Batch batch = first_batch(*module.train_dataloader());
  EXPECT_EQ(batch[0].tensor().sizes(), (std::vector<std::int64_t>{8, 2, 1}));
  EXPECT_EQ(batch[1].tensor().sizes(), (std::vector<std::int64_t>{8, 1}));
  EXPECT_EQ(flat<float>(batch[1].tensor())[0], 1.0F);
}

TEST_F(CsvDataModuleTest, LabelsThatAreNoNumbersAreRefusedWithTheirLine) {
  std::ofstream(file_) << "x,y\n1,0\nnan,1\n3,nan\n";
  CsvOptions wanted = options();
  CsvDataModule classes(wanted);
  try {
    classes.setup("fit");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("rows.csv:4: column 'y': nan is no class number"));
  }
  wanted.label_dtype = "float32";
  CsvDataModule values(wanted);
  EXPECT_NO_THROW(values.setup("fit"));
}

TEST_F(CsvDataModuleTest, FractionsMustLeaveSomethingToTrainOn) {
  CsvOptions wanted = options();
  wanted.split.val_fraction = 0.5;
  wanted.split.test_fraction = 0.5;
  EXPECT_THROW(CsvDataModule{wanted}, std::invalid_argument);
}

TEST_F(CsvDataModuleTest, MissingLabelColumnIsNamed) {
  CsvOptions wanted = options();
  wanted.label = "nope";
  CsvDataModule module(wanted);
  try {
    module.setup("fit");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no column 'nope'"));
  }
}

Batch synthetic(const std::string& kind) {
  SyntheticOptions options;
  options.kind = kind;
  SyntheticDataModule module(options);
  module.setup("fit");
  return *module.train_dataloader()->iterate()->next();
}

TEST(SyntheticDataModuleTest, CheckValuesOfTheFormula) {
  const Batch batch = synthetic("classification");
  EXPECT_EQ(flat<float>(batch[0].tensor())[0], static_cast<float>(-0.6373626589775085));
  EXPECT_EQ(flat<float>(batch[0].tensor())[2], static_cast<float>(-0.7872127890586853));
  const std::vector<std::int64_t> labels = flat<std::int64_t>(batch[1].tensor());
  EXPECT_THAT(std::vector<std::int64_t>(labels.begin(), labels.begin() + 6),
              ElementsAre(3, 1, 0, 0, 0, 0));
}

TEST(SyntheticDataModuleTest, CheckValuesOfTheOtherKinds) {
  EXPECT_EQ(flat<float>(synthetic("regression")[1].tensor())[2],
            static_cast<float>(0.1901848167181015));
  const std::vector<float> binary = flat<float>(synthetic("binary")[1].tensor());
  EXPECT_THAT(std::vector<float>(binary.begin(), binary.begin() + 6),
              ElementsAre(0, 0, 1, 1, 1, 1));
  const Batch tokens = synthetic("tokens");
  const std::vector<std::int64_t> row = flat<std::int64_t>(tokens[0].tensor());
  EXPECT_THAT(std::vector<std::int64_t>(row.begin(), row.begin() + 8),
              ElementsAre(11, 15, 5, 13, 7, 3, 1, 1));
  EXPECT_EQ(flat<std::int64_t>(tokens[1].tensor())[0], 2);
}

TEST(SyntheticDataModuleTest, LimitedMemoryFailsLikeTheAllocator) {
  SyntheticOptions options;
  options.memory_limit = 8;
  SyntheticDataModule module(options);
  module.setup("fit");
  const auto iterator = module.train_dataloader()->iterate();
  EXPECT_THROW(iterator->next(), std::runtime_error);
}

}  // namespace
}  // namespace lctl
