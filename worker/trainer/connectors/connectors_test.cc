#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "worker/trainer/connectors/batch_size.h"
#include "worker/trainer/connectors/log_rules.h"
#include "worker/trainer/connectors/logger_connector.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/hook_caller.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

at::Tensor rows(std::int64_t count) { return at::full({count, 2}, 1.0); }

std::vector<std::pair<std::string, double>> numbers(const MetricDict& metrics) {
  std::vector<std::pair<std::string, double>> list;
  for (const auto& [name, value] : metrics.entries()) list.emplace_back(name, value.number());
  return list;
}

TEST(BatchSizeTest, FirstTensorCounts) {
  EXPECT_EQ(extract_batch_size(Batch(Batch::List{Batch(rows(5)), Batch(rows(5))})), 5);
  EXPECT_EQ(extract_batch_size(Batch(at::full({}, 1.0))), 1);
  EXPECT_EQ(extract_batch_size(Batch(Batch::Map{{"x", Batch(rows(3))}})), 3);
  EXPECT_THROW(extract_batch_size(Batch("text")), MisconfigurationException);
}

TEST(LogRulesTest, DefaultsDependOnTheHook) {
  const LogLevels train = resolve_log_levels(Hook::training_step, {});
  EXPECT_TRUE(train.on_step);
  EXPECT_FALSE(train.on_epoch);
  const LogLevels validation = resolve_log_levels(Hook::validation_step, {});
  EXPECT_FALSE(validation.on_step);
  EXPECT_TRUE(validation.on_epoch);
}

TEST(LogRulesTest, ForbiddenHooksAndLevelsAreRefused) {
  EXPECT_THROW(resolve_log_levels(Hook::on_fit_start, {}), MisconfigurationException);
  EXPECT_THROW(resolve_log_levels(Hook::kNone, {}), MisconfigurationException);
  LogOptions step;
  step.on_step = true;
  EXPECT_THROW(resolve_log_levels(Hook::on_train_epoch_end, step), MisconfigurationException);
  LogOptions neither;
  neither.on_step = neither.on_epoch = false;
  EXPECT_THROW(resolve_log_levels(Hook::training_step, neither), MisconfigurationException);
}

TEST(MetricValueTest, ArithmeticIsThatOfFloat32UnlessWide) {
  MetricValue sum(0, false);
  sum.add_scaled(MetricValue(0.1, false), 3);
  EXPECT_EQ(sum.number(), static_cast<double>(0.1f * 3.0f));
  sum.add(MetricValue(0.1, true));
  EXPECT_TRUE(sum.is_wide());
}

TEST(MetricValueTest, NanWinsMinAndMaxAsInTorch) {
  MetricValue low(1, false);
  low.keep_min(MetricValue(std::nan(""), false));
  EXPECT_TRUE(std::isnan(low.number()));
}

// A logger that keeps what it is given.
class FakeLogger final : public Logger {
 public:
  std::string name() const override { return "fake"; }
  std::variant<std::int64_t, std::string> version() override { return std::int64_t{0}; }
  std::string save_dir() const override { return ""; }
  std::string log_dir() override { return ""; }
  void log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) override {
    std::string row = std::to_string(step) + ":";
    for (const LoggedMetric& metric : metrics) {
      row += " " + std::string(metric.name) + "=";
      row += std::visit([](auto value) { return std::to_string(value); }, metric.value);
    }
    rows.push_back(row);
  }
  void log_hyperparams(const checkpoint::Dict&) override {}

  std::vector<std::string> rows;
};

class NoModule final : public TrainableModule {
 public:
  std::vector<NamedTensor> parameter_list() const override { return {}; }
  std::vector<NamedTensor> state_list() const override { return {}; }
  checkpoint::Dict state_dict() const override { return {}; }
  void load_state_dict(const checkpoint::Dict&, bool) override {}
  std::vector<SubmoduleDescription> describe_submodules() const override { return {}; }
  std::string type_name() const override { return "NoModule"; }
  void set_training(bool) override {}
  std::vector<bool> training_flags() const override { return {}; }
  void set_training_flags(const std::vector<bool>&) override {}
  void move_to(c10::Device, std::optional<c10::ScalarType>) override {}
  void on_train_epoch_end() override {
    if (at_epoch_end) at_epoch_end();
  }
  StepOutput training_step(const Batch&, std::int64_t) override {
    if (in_step) in_step();
    return {};
  }
  StepOutput validation_step(const Batch&, std::int64_t, std::int64_t) override {
    if (in_step) in_step();
    return {};
  }

  std::function<void()> in_step;
  std::function<void()> at_epoch_end;
};

class LoggerConnectorTest : public ::testing::Test {
 protected:
  LoggerConnectorTest() : connector_({.log_every_n_steps = 1}, state_, progress_, hooks_) {
    hooks_.connect(nullptr, &module_, nullptr, &callbacks_);
    connector_.set_loggers({logger_});
    connector_.set_has_user_logger(true);
    state_.stage = Stage::kTrain;
  }

  void train_batch(std::int64_t size, std::function<void()> step) {
    const Batch batch(rows(size));
    connector_.on_batch_start(batch, std::nullopt);
    module_.in_step = std::move(step);
    hooks_.module(Hook::training_step, &TrainableModule::training_step, batch, std::int64_t{0});
    connector_.on_batch_end();
    connector_.update_train_step_metrics(true);
    ++fit_.batches_that_stepped;
  }

  void end_epoch() {
    connector_.epoch_end_reached();
    hooks_.module(Hook::on_train_epoch_end, &TrainableModule::on_train_epoch_end);
    connector_.on_epoch_end();
    --fit_.batches_that_stepped;
    connector_.update_train_epoch_metrics();
    ++fit_.batches_that_stepped;
  }

  void log(std::string_view name, double value, LogOptions options = {}) {
    connector_.log(name, value, options);
  }

  RunState state_;
  TrainerProgress progress_;
  FitProgress& fit_ = progress_.fit;
  HookCaller hooks_;
  std::vector<std::shared_ptr<Callback>> callbacks_;
  NoModule module_;
  std::shared_ptr<FakeLogger> logger_ = std::make_shared<FakeLogger>();
  LoggerConnector connector_;
};

LogOptions both_levels() {
  LogOptions options;
  options.on_step = options.on_epoch = true;
  return options;
}

TEST_F(LoggerConnectorTest, StepValuesGoOutWithEpochAndStep) {
  train_batch(2, [&] { log("a", 1); });
  train_batch(2, [&] { log("a", 2); });
  EXPECT_THAT(logger_->rows, ElementsAre("0: a=1.000000 epoch=0", "1: a=2.000000 epoch=0"));
}

TEST_F(LoggerConnectorTest, EpochMeanIsWeightedByBatchSize) {
  for (int i = 0; i < 3; ++i) train_batch(i == 2 ? 1 : 2, [&, i] { log("b", i, both_levels()); });
  end_epoch();
  EXPECT_EQ(logger_->rows.back(), "2: b_epoch=0.800000 epoch=0");
  EXPECT_THAT(numbers(connector_.callback_metrics()),
              ElementsAre(Pair("b", 0.800000011920929), Pair("b_step", 2.0),
                          Pair("b_epoch", 0.800000011920929)));
}

TEST_F(LoggerConnectorTest, AValueLoggedOnceIsRepeatedUntilTheEpochEnds) {
  train_batch(1, [&] { log("once", 7); });
  train_batch(1, [] {});
  end_epoch();
  train_batch(1, [] {});
  EXPECT_THAT(logger_->rows, ElementsAre("0: once=7.000000 epoch=0", "1: once=7.000000 epoch=0"));
}

TEST_F(LoggerConnectorTest, SameNameWithOtherArgumentsIsRefused) {
  EXPECT_THROW(train_batch(1,
                           [&] {
                             log("a", 1);
                             log("a", 1, both_levels());
                           }),
               MisconfigurationException);
}

TEST_F(LoggerConnectorTest, UserStepReplacesTheStep) {
  train_batch(1, [&] {
    log("step", 40);
    log("a", 1);
  });
  EXPECT_THAT(logger_->rows, ElementsAre("40: a=1.000000"));
}

// Two ranks, the other one of which has logged 2 + 52 on 5 samples so far where this one has 4.
TEST_F(LoggerConnectorTest, UnequalSampleCountsOfTheRanksAreTruncatedAndSaid) {
  connector_.set_distributed(2, [](const at::Tensor& value, Reduction op) {
    if (!value.is_floating_point()) return value.add(5);
    return op == Reduction::kMean ? value.add(52).div(2) : value.add(52);
  });
  LogOptions options = both_levels();
  options.on_step = false;
  options.sync_dist = true;
  train_batch(4, [&] { log("uneven", 0.5, options); });
  ::testing::internal::CaptureStderr();
  end_epoch();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("`self.log('uneven', ..., sync_dist=True)`: the ranks saw "
                                   "different numbers of samples"));
  EXPECT_EQ(logger_->rows.back(), "0: uneven=6.750000 epoch=0");
}

TEST_F(LoggerConnectorTest, TensorsMustHaveOneElement) {
  EXPECT_THROW(train_batch(1, [&] { connector_.log("v", rows(2), {}); }), std::invalid_argument);
}

TEST_F(LoggerConnectorTest, StateBringsAccumulatorsBack) {
  train_batch(2, [&] { log("b", 1, both_levels()); });
  const checkpoint::Dict saved = connector_.state();
  LoggerConnector other({.log_every_n_steps = 1}, state_, progress_, hooks_);
  other.load_state(saved);
  EXPECT_EQ(numbers(other.callback_metrics()), numbers(connector_.callback_metrics()));
}

// What `sync_dist` asks for depends on how many ranks there are.
TEST_F(LoggerConnectorTest, StateOfOneRankGoesOnOnTwo) {
  LogOptions options = both_levels();
  options.sync_dist = true;
  train_batch(2, [&] { log("b", 1, options); });
  connector_.load_state(connector_.state());
  connector_.set_distributed(2, [](const at::Tensor& value, Reduction) { return value; });
  EXPECT_NO_THROW(train_batch(2, [&] { log("b", 1, options); }));
  connector_.set_distributed(1, nullptr);
  EXPECT_THROW(train_batch(2, [&] { log("b", 1, options); }), MisconfigurationException)
      << "only what was restored may differ";
}

}  // namespace
}  // namespace lctl
