// What is refused, and in which words: one override on a valid job each, then what the message
// says. (Whole files: example_files_test.cc.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "jobspec/config.h"

namespace lctl::jobspec {
namespace {

using testing::HasSubstr;

constexpr char kJob[] =
    "model: {class_path: Classifier, init_args: {layers: [ReLU], metrics: [acc]}}\n"
    "data: {class_path: SyntheticDataModule}\n"
    "optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n";

absl::StatusOr<Config> with(const std::vector<std::string>& overrides) {
  ParseOptions options;
  options.overrides = overrides;
  options.check_files = false;
  return parse(kJob, options);
}

struct Refusal {
  std::vector<std::string> overrides;
  const char* message;
};

void expect_refused(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    const auto config = with(refusal.overrides);
    EXPECT_FALSE(config.ok()) << refusal.overrides.back();
    EXPECT_THAT(std::string(message_of(config.status())), HasSubstr(refusal.message))
        << refusal.overrides.back();
  }
}

void expect_accepted(const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    const auto config = with({text});
    EXPECT_TRUE(config.ok()) << text << "\n" << message_of(config.status());
  }
}

TEST(RefusalsTest, FormatsThatAnOptimizerCannotWorkIn) {
  const std::string lbfgs = "--optimizer={class_path: LBFGS}";
  expect_refused({
      {{lbfgs, "--trainer.precision=16-mixed"},
       "trainer.precision: AMP and the LBFGS optimizer are not compatible."},
      {{lbfgs, "--trainer.precision=16", "--trainer.accelerator=gpu"}, "are not compatible."},
  });
  // On the CPU 16-mixed is bf16-mixed.
  EXPECT_TRUE(with({lbfgs, "--trainer.precision=16-mixed", "--trainer.accelerator=cpu"}).ok());
  EXPECT_TRUE(with({lbfgs, "--trainer.precision=bf16-mixed"}).ok());
  EXPECT_TRUE(with({"--trainer.precision=16-mixed"}).ok());
}

TEST(RefusalsTest, TuneDoesNotAskWhatAPlateauSchedulerReads) {
  ParseOptions options;
  options.check_files = false;
  options.overrides = {"--lr_scheduler={class_path: ReduceLROnPlateau, monitor: my/metric}",
                       "--tune={lr_find: {}}"};
  EXPECT_FALSE(parse(kJob, options).ok());
  options.command = Command::kTune;
  const auto config = parse(kJob, options);
  EXPECT_TRUE(config.ok()) << message_of(config.status());
}

TEST(RefusalsTest, NumbersThatAreNone) {
  expect_refused({
      {{"--optimizer.lr=.nan"}, "optimizer.init_args.lr: is not a number (NaN); expected float"},
      {{"--trainer.gradient_clip_val=.nan"}, "is not a number (NaN)"},
      {{"--optimizer.lr=1e400"}, "the number `1e400` is out of range"},
      {{"--trainer.max_epochs=99999999999999999999"}, "is out of range; expected an int of 64"},
      {{"--trainer.max_epochs=1e3"}, "expected int or null, got float `1000.0`"},
      {{"--trainer.max_epochs=0o10"}, "expected int or null, got str `0o10`"},
      {{"--trainer.max_epochs=010"}, "YAML reads `010` as a number in base 8; remove the zeros"},
      {{"--trainer.max_epochs=yes"}, "expected int or null, got bool `true`"},
  });
  expect_accepted({"--trainer.max_epochs=0x10", "--trainer.max_epochs=1_000", "--optimizer.lr=1e-3",
                   "--trainer.gradient_clip_val=.inf"});
}

TEST(RefusalsTest, RulesOfTheKeyTable) {
  expect_refused({
      {{"--trainer.limit_train_batches=1.5"}, "expected an int >= 0 (batches) or a float in"},
      {{"--trainer.limit_train_batches=.inf"}, "expected an int >= 0 (batches) or a float in"},
      {{"--trainer.log_every_n_steps=-1"}, "`-1` is not allowed; expected a number >= 0"},
      {{"--trainer.gradient_clip_algorithm=nrom"}, "did you mean `norm`?"},
      {{"--seed_everything=4294967296"}, "expected a number in [0, 4294967295]"},
      {{"--optimizer=AdamW", "--optimizer.betas=[.9, .99, .999]"}, "a list of two numbers in"},
      {{"--optimizer=Muon", "--optimizer.ns_coefficients=[1, 2]"}, "a list of three numbers"},
      {{"--optimizer=Adafactor", "--optimizer.beta2_decay=0.5"}, "expected a number <= 0"},
      {{"--job.name=a/b"}, "1 to 128 letters, digits"},
      {{"--job.grace=2h"}, "`2h` is not allowed; expected at most 1h"},
      {{"--job.resources.memory=4.5"}, "`4.5` is not a size; expected a size such as 4GiB"},
      {{"--trainer.val_check_interval={hours: .inf}"}, "is out of range; expected an int, float"},
      {{"--data=CsvDataModule", "--data.path=\"\""}, "data.init_args.path: is empty"},
  });
  expect_accepted({"--trainer.limit_train_batches=2.0", "--seed_everything=4294967295",
                   "--job.grace=1h", "--trainer.val_check_interval=00:00:10:00"});
}

TEST(RefusalsTest, DevicesInEachOfTheirForms) {
  expect_refused({
      {{"--trainer.devices=\"10000\""}, "`10000` is not allowed; expected a number in [1, 1024]"},
      {{"--trainer.devices=-1"}, "expected a number of devices > 0"},
      {{"--trainer.devices=[0, 0]"}, "different device ids"},
      {{"--trainer.devices=[]"}, "`[]` is not allowed"},
      {{"--trainer.devices=\"0,,1\""}, "different device ids"},
      {{"--trainer.devices=\"0, 2\"", "--job.resources.devices=3"}, "3 contradicts"},
      {{"--trainer.accelerator=cpu", "--job.resources.accelerator=gpu"}, "contradicts"},
  });
  for (const char* two :
       {"2", "\"2\"", "[0, 3]", "\"0,3\"", "\"0, 3\"", "\"0,3,\"", "\"0, 3, \""}) {
    const auto config = with({std::string("--trainer.devices=") + two});
    ASSERT_TRUE(config.ok()) << two << "\n" << message_of(config.status());
    EXPECT_EQ(config->job.resources().devices_per_node(), 2) << two;
  }
}

TEST(RefusalsTest, ClassesAndLayers) {
  expect_refused({
      {{"--optimizer=Addam"}, "unknown optimizer `Addam`; did you mean `Adam`?"},
      {{"--optimizer={init_args: {lr: 1}}"}, "expected an optimizer, got map"},
      {{"--lr_scheduler=3"}, "expected an lr_scheduler, got int `3`"},
      {{"--optimizer={class_path: SGD, lr: 1}"}, "optimizer.lr: unknown key"},
      {{"--model.layers=[]"}, "expected a list of layers, got list `[]`"},
      {{"--model.layers=[{Linear: [8, 4]}]"}, "layers.0.Linear: expected a map of arguments"},
      {{"--model.layers=[{Linear: {in_features: 8}}]"}, "Linear.out_features: is missing"},
      {{"--model.layers=[3]"}, "expected a layer, got int `3`; expected `ReLU` or"},
      {{"--model.log={val/acc: 3}"}, "expected a map of flags, got int `3`"},
      {{"--model.log={val/acc: {prog_baar: true}}"}, "did you mean `prog_bar`?"},
      {{"--model.log={val/ac: {}}"}, "the model has no such metric; did you mean `val/acc`?"},
      {{"--trainer.logger=[{}]"}, "trainer.logger.0: expected a logger, got map"},
      {{"--trainer.plugins=[]"}, "`plugins` is known to Lightning but not available"},
      {{"--trainer.profiler=simpel"},
       "trainer.profiler: `simpel`: When passing string value for the `profiler` parameter of "
       "`Trainer`, it can only be one of ['simple', 'advanced', 'pytorch', 'xla']"},
      {{"--trainer.profiler=simpel"}, "did you mean `simple`?"},
      {{"--trainer.profiler=XLA"}, "XLAProfiler is known to Lightning but not available"},
      {{"--trainer.profiler=3"}, "trainer.profiler: expected a profiler, got int `3`"},
      {{"--trainer.profiler=simple", "--trainer.profiler.extendet=1"}, "did you mean `extended`?"},
      {{"--trainer.profiler=PyTorchProfiler", "--trainer.profiler.sort_by_key=time"},
       "profiler.init_args.sort_by_key: `time` is not allowed"},
      {{"--trainer.profiler=PyTorchProfiler", "--trainer.profiler.schedule={wait: 1, warmup: 1}"},
       "profiler.init_args.schedule.active: is missing"},
      {{"--trainer.profiler=PyTorchProfiler", "--trainer.profiler.activities=[tpu]"},
       "`[tpu]` is not allowed; expected each one of: cpu, cuda"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.log_model=best"},
       "trainer.logger.init_args.log_model: `best` is not allowed; expected one of: all"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.watch={log: gradient}"},
       "init_args.watch.log: `gradient` is not allowed"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.watch={log_frq: 5}"},
       "init_args.watch.log_frq: unknown key; did you mean `log_freq`?"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.watch={log_freq: 0}"},
       "init_args.watch.log_freq: `0` is not allowed; expected a number >= 1"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.watch=all"},
       "init_args.watch: expected map or null, got str `all`"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.anonymous=true"},
       "`anonymous` is known to Lightning but not available"},
  });
}

TEST(RefusalsTest, KeysThatAreWrongOnlyTogether) {
  const std::string best = "{class_path: ModelCheckpoint, init_args: ";
  expect_refused({
      {{"--optimizer.nesterov=true"}, "Nesterov momentum requires a momentum"},
      {{"--lr_scheduler=OneCycleLR", "--lr_scheduler.max_lr=1"}, "needs its number of steps"},
      {{"--lr_scheduler=ReduceLROnPlateau"}, "lr_scheduler.monitor: is missing"},
      {{"--trainer.callbacks+=" + best + "{save_top_k: 3}}"}, "3 best checkpoints of what?"},
      {{"--trainer.callbacks+=" + best + "{every_n_epochs: 1, every_n_train_steps: 1}}"},
       "exclude each other"},
      {{"--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks+=ModelCheckpoint"},
       "trainer.callbacks.1: a second ModelCheckpoint of the same settings beside"},
      {{"--trainer.callbacks={class_path: EarlyStopping, init_args: {monitor: val/los}}"},
       "trainer.callbacks.init_args.monitor: the model never logs `val/los`; did you mean"},
      {{"--trainer.barebones=true", "--trainer.enable_progress_bar=true"},
       "trainer.enable_progress_bar: barebones turns everything off"},
      {{"--trainer.logger=WandbLogger", "--trainer.logger.offline=true",
        "--trainer.logger.log_model=all"},
       "trainer.logger.init_args.log_model: Providing log_model=all and offline=True is an invalid "
       "configuration since model checkpoints cannot be uploaded in offline mode.; Hint: Set "
       "`offline=False` to log your model."},
      {{"--trainer.logger=[WandbLogger, WandbLogger]"},
       "trainer.logger.1: a second WandbLogger beside trainer.logger.0"},
      {{"--trainer.barebones=true", "--trainer.profiler=simple"},
       "trainer.profiler: barebones turns everything off"},
      {{"--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=0.5"},
       "`0.5` is a share of an epoch"},
  });
}

TEST(RefusalsTest, EnvironmentAndTagsAreTextsAsWritten) {
  expect_refused({
      {{"--job.environment.RANK=0"}, "lctl sets this variable itself"},
      {{"--job.environment.LCTL_X=0"}, "lctl sets this variable itself"},
      {{"--job.environment.A-B=0"}, "is no name of an environment variable"},
      {{"--job.environment.A=1.10"}, "got float `1.1`; put quotes around it"},
      {{"--job.environment.A=0x1F"}, "YAML reads it as the number 31, which is written otherwise"},
      {{"--job.environment.A=+5"}, "put quotes around it"},
      {{"--job.environment.A="}, "--job.environment.A=: job.environment.A: expected str or int"},
      {{"--job.tags.a=1_000"}, "put quotes around it"},
      {{"--job.tags.a=[1]"}, "expected str or int, got list `[1]`"},
      {{"--job.tags.a=" + std::string(257, 'x')}, "the text has 257 bytes; expected at most 256"},
  });
  const auto config = with({"--job.environment.A='010'", "--job.environment.B=-7"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_EQ(config->job.environment().at("A"), "010");
  EXPECT_EQ(config->job.environment().at("B"), "-7");
}

TEST(RefusalsTest, AMessageIsOneLineWhateverTheKeysAndValuesHold) {
  for (const char* text : {"--job.tags={\"a\\nb\\e[1m\": []}", "--optimizer.lr=\"a\\nb\"",
                           "--job.tags={a: 1,\n a: 2}", "--foo\n\x1b[1m=3"}) {
    const auto config = with({text});
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(std::string(message_of(config.status())),
                testing::AllOf(testing::Not(HasSubstr("\n")), testing::Not(HasSubstr("\x1b"))));
  }
  const auto long_one = with({"--optimizer.lr=[" + std::string(100'000, 'x')});
  EXPECT_LT(message_of(long_one.status()).size(), 1000U);
}

// A hostile file must not cost seconds of a server.
TEST(RefusalsTest, TensOfThousandsOfUnknownNamesAreCountedNotCompared) {
  std::string text = "trainer:\n";
  for (int i = 0; i < 40'000; ++i) text += "  k" + std::to_string(i) + ":\n";
  Findings findings;
  EXPECT_FALSE(parse(text, {}, findings).ok());
  EXPECT_EQ(findings.errors().size(), Findings::kLimit);
  EXPECT_GT(findings.dropped(), 39'000U);
  EXPECT_LT(message_of(findings.status()).size(), 100'000U);
}

}  // namespace
}  // namespace lctl::jobspec
