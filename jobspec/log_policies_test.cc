// Keys of `job` that say when and from where a job is tried again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/pattern.h"
#include "base/status.h"
#include "jobspec/config.h"

namespace lctl::jobspec {
namespace {

using testing::HasSubstr;

constexpr char kJob[] =
    "model: {class_path: Classifier, init_args: {layers: [ReLU], metrics: [acc]}}\n"
    "data: {class_path: SyntheticDataModule}\n"
    "optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n"
    "job:\n";

absl::StatusOr<Config> with(const std::string& job) {
  ParseOptions options;
  options.check_files = false;
  options.pattern_problem = pattern_problem;
  return parse(kJob + job, options);
}

std::string refusal(const std::string& job) {
  const auto config = with(job);
  return config.ok() ? "accepted" : std::string(message_of(config.status()));
}

TEST(RestartKeysTest, DefaultsAreRestartFromTheNewestCheckpointAndNoCrashLoops) {
  const auto config = with("  name: a\n");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->job.restart_from(), v1::RESTART_FROM_LAST);
  EXPECT_FALSE(config->job.retry_crash_loops());
  EXPECT_FALSE(config->job.never_preempt());
  EXPECT_EQ(config->job.hang_after_ms(), 0);
  EXPECT_TRUE(config->job.log_policies().empty());
}

TEST(RestartKeysTest, AllOfThemArriveInTheSpecAlsoByTheCanonicalText) {
  const auto config = with(
      "  restart_from: best\n"
      "  crash_loop: retry\n"
      "  preemptible: false\n"
      "  log_policies:\n"
      "    - {pattern: 'CUDA error: (ECC|Xid)', action: exclude_node}\n"
      "    - {pattern: loss is NaN, action: cancel_retries}\n"
      "    - {pattern: 'retry(ing)? download', action: {label: slow-net}}\n");
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  for (const auto& again : {*config, *parse(config->canonical_yaml(), {.check_files = false})}) {
    const v1::JobSpec& job = again.job;
    EXPECT_EQ(job.restart_from(), v1::RESTART_FROM_BEST);
    EXPECT_TRUE(job.retry_crash_loops());
    EXPECT_TRUE(job.never_preempt());
    ASSERT_EQ(job.log_policies_size(), 3);
    EXPECT_EQ(job.log_policies(0).pattern(), "CUDA error: (ECC|Xid)");
    EXPECT_EQ(job.log_policies(0).action(), v1::LogPolicy::ACTION_EXCLUDE_NODE);
    EXPECT_EQ(job.log_policies(1).action(), v1::LogPolicy::ACTION_CANCEL_RETRIES);
    EXPECT_EQ(job.log_policies(2).action(), v1::LogPolicy::ACTION_LABEL);
    EXPECT_EQ(job.log_policies(2).label(), "slow-net");
  }
}

TEST(RestartKeysTest, HangAfterIsATimeOrAWord) {
  const auto hang_after = [](const std::string& text) {
    const auto config = with("  hang_after: " + text + "\n");
    EXPECT_TRUE(config.ok()) << message_of(config.status());
    const auto again = parse(config->canonical_yaml(), {.check_files = false});
    EXPECT_EQ(again->job.hang_after_ms(), config->job.hang_after_ms());
    return config->job.hang_after_ms();
  };
  EXPECT_EQ(hang_after("auto"), 0);
  EXPECT_EQ(hang_after("off"), -1);
  EXPECT_EQ(hang_after("'off'"), -1);
  EXPECT_EQ(hang_after("3s"), 3'000);
  EXPECT_EQ(hang_after("2h"), 7'200'000);
  for (const char* wrong : {"true", "never", "500ms", "'5'", "0s"}) {
    EXPECT_THAT(refusal(std::string("  hang_after: ") + wrong + "\n"),
                HasSubstr("job.hang_after: `"))
        << wrong;
  }
  EXPECT_THAT(refusal("  hang_after: soon\n"),
              HasSubstr("expected `auto`, `off`, or a duration of at least 1s"));
  EXPECT_THAT(refusal("  hang_after: 5\n"), HasSubstr("job.hang_after: expected "));
}

TEST(RestartKeysTest, WhatCannotBeIsRefusedWithItsPlace) {
  EXPECT_THAT(refusal("  restart_from: newest\n"), HasSubstr("expected one of: last, best, none"));
  EXPECT_THAT(refusal("  log_policies: [oom]\n"),
              HasSubstr("job.yaml:5: job.log_policies.0: expected a map, got str `oom`"));
  EXPECT_THAT(refusal("  log_policies: [{pattern: a}]\n"),
              HasSubstr("job.log_policies.0.action: is missing"));
  EXPECT_THAT(refusal("  log_policies: [{pattern: a, action: exclude_nodes}]\n"),
              HasSubstr("did you mean `exclude_node`?"));
  EXPECT_THAT(refusal("  log_policies: [{patern: a, action: exclude_node}]\n"),
              HasSubstr("did you mean `pattern`?"));
  EXPECT_THAT(refusal("  log_policies: [{pattern: '(a', action: exclude_node}]\n"),
              HasSubstr("job.yaml:5: job.log_policies.0.pattern: `(a` is no regular expression: "
                        "missing ): (a"));
  EXPECT_THAT(refusal("  log_policies: [{pattern: '', action: exclude_node}]\n"),
              HasSubstr("the pattern has 0 bytes; expected 1 to 1024"));
  EXPECT_THAT(refusal("  log_policies: [{pattern: a, action: {label: 'a b'}}]\n"),
              HasSubstr("job.log_policies.0.action.label: `a b` is not allowed"));
  EXPECT_THAT(refusal("  log_policies: [{pattern: a, action: {lable: x}}]\n"),
              HasSubstr("did you mean `label`?"));
}

TEST(RestartKeysTest, PoliciesAreBounded) {
  std::string many = "  log_policies:\n";
  for (int i = 0; i < 33; ++i) many += "    - {pattern: a, action: exclude_node}\n";
  EXPECT_THAT(refusal(many), HasSubstr("job.log_policies: 33 entries; expected at most 32"));
  const std::string long_pattern(1025, 'a');
  EXPECT_THAT(refusal("  log_policies: [{pattern: " + long_pattern + ", action: exclude_node}]\n"),
              HasSubstr("the pattern has 1025 bytes"));
}

}  // namespace
}  // namespace lctl::jobspec
