#include "worker/trainer/loggers/csv_logger.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/loggers/hparams_yaml.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

class CSVLoggerTest : public ::testing::Test {
 protected:
  CSVLoggerTest() : dir_(std::filesystem::path(testing::TempDir()) / "csv_logger_test") {
    std::filesystem::remove_all(dir_);
  }
  std::string slurp(const std::filesystem::path& file) const {
    std::ifstream in(dir_ / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void log(CSVLogger& logger, std::vector<LoggedMetric> metrics, std::int64_t step) {
    logger.log_metrics(metrics, step);
    logger.save();
  }
  std::filesystem::path dir_;
};

TEST_F(CSVLoggerTest, RowsAreAppendedAndANewNameRewritesTheFile) {
  CSVLogger logger({.save_dir = dir_.string()});
  logger.start();
  log(logger, {{"train/loss", 0.800000011920929}, {"epoch", std::int64_t{0}}}, 0);
  log(logger, {{"train/loss", 1.0}, {"epoch", std::int64_t{0}}}, 1);
  EXPECT_EQ(slurp("lightning_logs/version_0/metrics.csv"),
            "epoch,step,train/loss\r\n0,0,0.800000011920929\r\n0,1,1.0\r\n");
  log(logger, {{"a,b", std::numeric_limits<double>::quiet_NaN()}}, 1);
  log(logger, {{"train/loss", 1e-5}}, 2);
  EXPECT_EQ(slurp("lightning_logs/version_0/metrics.csv"),
            "\"a,b\",epoch,step,train/"
            "loss\r\n,0,0,0.800000011920929\r\n,0,1,1.0\r\nnan,,1,\r\n,,2,1e-05\r\n");
}

TEST_F(CSVLoggerTest, VersionIsOneMoreThanTheHighest) {
  std::filesystem::create_directories(dir_ / "lightning_logs" / "version_7");
  std::filesystem::create_directories(dir_ / "lightning_logs" / "version_x");
  CSVLogger logger({.save_dir = dir_.string()});
  EXPECT_EQ(logger.log_dir(), (dir_ / "lightning_logs" / "version_8").string());
  CSVLogger named({.save_dir = dir_.string(), .name = "", .version = std::string("v1")});
  EXPECT_EQ(named.log_dir(), (dir_ / "v1").string());
}

TEST_F(CSVLoggerTest, NothingLoggedMeansNoFile) {
  CSVLogger logger({.save_dir = dir_.string()});
  logger.start();
  logger.save();
  logger.finalize("success");
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "lightning_logs" / "version_0"));
}

TEST_F(CSVLoggerTest, PreviousMetricsOfAFixedVersionAreDeleted) {
  for (const double value : {1.0, 2.0}) {
    CSVLogger logger({.save_dir = dir_.string(), .version = std::int64_t{0}, .prefix = "p"});
    logger.start();
    log(logger, {{"loss", value}}, 0);
  }
  EXPECT_EQ(slurp("lightning_logs/version_0/metrics.csv"), "p-loss,step\r\n2.0,0\r\n");
}

TEST_F(CSVLoggerTest, HyperparametersAreSortedBlockYaml) {
  Dict linear;
  linear.set("in_features", 8);
  linear.set("bias", true);
  Dict layer;
  layer.set("Linear", Value(linear));
  Dict hparams;
  hparams.set("lr", 1e-5);
  hparams.set("layers", List{Value(layer), Value("ReLU"), Value(List{Value(1), Value(2)})});
  hparams.set("loss", "cross_entropy");
  hparams.set("log", Value());
  hparams.set("empty", Value(Dict{}));
  hparams.set("text", "yes");
  hparams.set("number", "12");
  EXPECT_EQ(hparams_yaml(hparams),
            "empty: {}\nlayers:\n- Linear:\n    bias: true\n    in_features: 8\n- ReLU\n- - 1\n  - "
            "2\nlog: null\n"
            "loss: cross_entropy\nlr: 1.0e-05\nnumber: '12'\ntext: 'yes'\n");
  EXPECT_EQ(hparams_yaml(Dict{}), "{}\n");
}

TEST_F(CSVLoggerTest, AFolderThatCannotBeMadeIsAnErrorWithItsName) {
  std::filesystem::create_directories(dir_);
  std::ofstream(dir_ / "lightning_logs") << "a file";
  CSVLogger logger({.save_dir = dir_.string()});
  EXPECT_THROW(logger.start(), std::system_error);
}

TEST_F(CSVLoggerTest, RowsOfAFurtherRunFollowThoseOfTheFirst) {
  CSVLogger logger({.save_dir = dir_.string()});
  logger.start();
  log(logger, {{"loss", 0.5}}, 0);
  logger.finalize("success");
  logger.start();
  log(logger, {{"loss", 0.5}}, 1);
  EXPECT_EQ(slurp("lightning_logs/version_0/metrics.csv"), "loss,step\r\n0.5,0\r\n0.5,1\r\n");
}

}  // namespace
}  // namespace lctl
