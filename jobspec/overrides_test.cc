// Dotted overrides as parse() applies them.
#include "jobspec/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace lctl::jobspec {
namespace {

using testing::HasSubstr;

constexpr char kJob[] =
    "model: {class_path: Classifier, init_args: {layers: [ReLU, Tanh]}}\n"
    "data: {class_path: SyntheticDataModule}\n"
    "optimizer: SGD\n";

absl::StatusOr<Config> with(const std::vector<std::string>& overrides,
                            const std::string& more = "") {
  ParseOptions options;
  options.overrides = overrides;
  options.check_files = false;
  return parse(kJob + more, options);
}

std::string refusal(const std::vector<std::string>& overrides) {
  return std::string(message_of(with(overrides).status()));
}

TEST(OverridesTest, LaterOnesWin) {
  const auto config = with({"--trainer.max_epochs=3", "--trainer.max_epochs=4"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_EQ(config->trainer.get_int("max_epochs"), 4);
}

TEST(OverridesTest, AClassGivenByItsNameAloneTakesArguments) {
  const auto config = with({"--optimizer.lr=0.5", "--optimizer.init_args.momentum=0.9"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_DOUBLE_EQ(config->optimizer->init_args.get_double("lr"), 0.5);
  EXPECT_DOUBLE_EQ(config->optimizer->init_args.get_double("momentum"), 0.9);
}

TEST(OverridesTest, OneCallbackOrLoggerTakesArgumentsAsTheLastOfAListDoes) {
  const std::string single =
      "trainer:\n  callbacks: {class_path: EarlyStopping, init_args: {monitor: val/loss}}\n"
      "  logger: {class_path: CSVLogger, init_args: {save_dir: a}}\n";
  const auto one = with({"--trainer.callbacks.patience=5", "--trainer.callbacks.init_args.mode=max",
                         "--trainer.logger.save_dir=b"},
                        single);
  ASSERT_TRUE(one.ok()) << message_of(one.status());
  EXPECT_EQ(one->callbacks[0].init_args.get_int("patience"), 5);
  EXPECT_EQ(one->callbacks[0].init_args.get_string("mode"), "max");
  EXPECT_EQ(one->loggers[0].init_args.get_string("save_dir"), "b");

  const auto by_index = with({"--trainer.callbacks.0.patience=6"}, single);
  ASSERT_TRUE(by_index.ok()) << message_of(by_index.status());
  EXPECT_EQ(by_index->callbacks[0].init_args.get_int("patience"), 6);

  const auto last =
      with({"--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=val/loss",
            "--trainer.callbacks.save_top_k=2"},
           single);
  ASSERT_TRUE(last.ok()) << message_of(last.status());
  ASSERT_EQ(last->callbacks.size(), 2U);
  EXPECT_EQ(last->callbacks[1].init_args.get_int("save_top_k"), 2);
}

TEST(OverridesTest, ListsTakeIndicesAndAppendedItems) {
  const auto config =
      with({"--model.layers.1=Sigmoid", "--model.layers+=[ReLU, {Dropout: {p: 0.5}}]"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  ASSERT_EQ(config->model.children.size(), 4U);
  EXPECT_EQ(config->model.children[1].class_name, "Sigmoid");
  EXPECT_EQ(config->model.children[3].class_name, "Dropout");
  EXPECT_THAT(refusal({"--model.layers.2=ReLU"}), HasSubstr("`2` is no element of a list of 2"));
  EXPECT_THAT(refusal({"--model.layers.-1=ReLU"}), HasSubstr("`-1` is no element"));
  EXPECT_THAT(refusal({"--model.layers.99999999999999999999=ReLU"}), HasSubstr("is no element"));
  EXPECT_THAT(refusal({"--data.class_path.x=3"}), HasSubstr("there is nothing below a str"));
}

TEST(OverridesTest, ValuesAreYamlAndTheirMistakesNameTheKey) {
  EXPECT_THAT(refusal({"--job.tags={a: 1, a: 2}"}),
              HasSubstr("job.tags.a: the key is given twice; keep one"));
  EXPECT_THAT(refusal({"--job.tags={a: 1"}), HasSubstr("job.tags: not valid YAML: a `{` is not"));
  EXPECT_THAT(refusal({"--job.tags=!!map {}"}), HasSubstr("job.tags: the YAML tag"));
}

// Else the job would be refused by the server, in words about a text that nobody wrote.
TEST(OverridesTest, KeysAreSuchAsAFileCouldHave) {
  for (const std::string& key :
       {std::string("\xff"), std::string("a\x01"), std::string(257, 'k'), std::string("a\nb")}) {
    EXPECT_THAT(refusal({"--job.tags." + key + "=1"}), HasSubstr("is no key path"));
  }
  std::string deep = "--a";
  for (int i = 0; i < 70; ++i) deep += ".a";
  EXPECT_THAT(refusal({deep + "=1"}), HasSubstr("is no key path"));
  EXPECT_TRUE(with({"--job.tags." + std::string(256, 'k') + "=1"}).ok());
}

}  // namespace
}  // namespace lctl::jobspec
