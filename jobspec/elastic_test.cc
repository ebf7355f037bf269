#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "jobspec/config.h"

namespace lctl::jobspec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kJob[] =
    "model: {class_path: Classifier, init_args: {layers: [ReLU], metrics: [acc]}}\n"
    "data: {class_path: SyntheticDataModule, init_args: {batch_size: 12}}\n"
    "optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n";

absl::StatusOr<Config> with(const std::vector<std::string>& overrides,
                            Command command = Command::kFit) {
  ParseOptions options;
  options.overrides = overrides;
  options.check_files = false;
  options.command = command;
  return parse(kJob, options);
}
std::string refusal(const std::vector<std::string>& overrides, Command command = Command::kFit) {
  const auto config = with(overrides, command);
  return config.ok() ? "accepted" : std::string(message_of(config.status()));
}

const std::string kTwoToFour = "--job.elastic={min_nodes: 2, max_nodes: 4}";

TEST(ElasticTest, AbsentUnlessAskedFor) {
  const auto config = with({});
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->job.has_elastic());
  EXPECT_EQ(config->job.resources().nodes(), 1);
}

TEST(ElasticTest, MostNodesAreTheJobsAndEvenDivisorsArePossible) {
  const auto config = with({kTwoToFour});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  for (const auto& again : {*config, *parse(config->canonical_yaml(), {.check_files = false})}) {
    EXPECT_EQ(again.job.resources().nodes(), 4);
    EXPECT_EQ(again.trainer.get_int("num_nodes"), 4);
    EXPECT_EQ(again.job.elastic().min_nodes(), 2);
    EXPECT_EQ(again.job.elastic().max_nodes(), 4);
    EXPECT_THAT(again.job.elastic().node_counts(), ElementsAre(4, 3, 2));
  }
}

TEST(ElasticTest, NumbersThatDivideNoBatchEvenlyAreLeftOut) {
  const auto config = with({kTwoToFour, "--data.batch_size=5"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_THAT(config->job.elastic().node_counts(), ElementsAre(4, 2));
  const auto validation = with({kTwoToFour, "--data.val_batch_size=1"});
  ASSERT_TRUE(validation.ok()) << message_of(validation.status());
  EXPECT_THAT(validation->job.elastic().node_counts(), ElementsAre(4, 2));
}

TEST(ElasticTest, MinimumIsOneUnlessGiven) {
  const auto config = with({"--job.elastic={max_nodes: 2}", "--job.resources.nodes=2"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_THAT(config->job.elastic().node_counts(), ElementsAre(2, 1));
}

TEST(ElasticTest, WhatCannotBeIsRefusedWithWhatToDo) {
  EXPECT_THAT(refusal({"--job.elastic=true"}), HasSubstr("job.elastic: expected a map"));
  EXPECT_THAT(refusal({"--job.elastic={min_nodes: 2}"}),
              HasSubstr("job.elastic.max_nodes: is missing"));
  EXPECT_THAT(refusal({"--job.elastic={min_nodes: 0, max_nodes: 2}"}),
              HasSubstr("job.elastic.min_nodes: `0` is not allowed"));
  EXPECT_THAT(refusal({"--job.elastic={min_nodes: 3, max_nodes: 2}"}),
              HasSubstr("3 is more than max_nodes, which is 2"));
  EXPECT_THAT(refusal({"--job.elastic={min: 1, max_nodes: 2}"}),
              HasSubstr("known keys: min_nodes, max_nodes"));
  EXPECT_THAT(refusal({kTwoToFour, "--job.resources.nodes=3"}), HasSubstr("give max_nodes only"));
  EXPECT_THAT(refusal({kTwoToFour, "--trainer.num_nodes=2"}),
              HasSubstr("max_nodes is 4, but job.resources.nodes or trainer.num_nodes says 2"));
  EXPECT_THAT(refusal({kTwoToFour, "--trainer.use_distributed_sampler=false"}),
              HasSubstr("use_distributed_sampler is false"));
  EXPECT_THAT(refusal({kTwoToFour, "--job.resume=lightning"}), HasSubstr("leave it at exact"));
  EXPECT_THAT(
      refusal({kTwoToFour, "--data={class_path: WebDataModule, init_args: {train: a.tar}}"}),
      HasSubstr("WebDataModule deals out whole shards"));
  EXPECT_THAT(refusal({kTwoToFour, "--tune={scale_batch_size: {}}"}, Command::kTune),
              HasSubstr("write the batch size that was found into the file"));
}

TEST(ElasticTest, ABatchThatOnlyAllNodesCanShareIsRefusedByItsNumbers) {
  EXPECT_THAT(
      refusal({"--job.elastic={min_nodes: 2, max_nodes: 5}", "--data.batch_size=7"}),
      HasSubstr("(7 samples for each rank of 5 nodes) does not divide evenly among 4, 3 or 2 "
                "nodes, so the job could only run on 5"));
}

}  // namespace
}  // namespace lctl::jobspec
