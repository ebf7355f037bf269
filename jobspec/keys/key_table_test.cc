// The table holds together: every default is one of the values that its own cells allow.
#include "jobspec/keys/key_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "jobspec/arguments.h"
#include "jobspec/checks.h"
#include "jobspec/config.h"
#include "jobspec/rules.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Kind kKinds[] = {Kind::kSection,     Kind::kModel,    Kind::kData,   Kind::kOptimizer,
                           Kind::kLrScheduler, Kind::kCallback, Kind::kLogger, Kind::kProfiler,
                           Kind::kLayer,       Kind::kTransform};

TEST(KeyTableTest, NamesAreUniqueAndFound) {
  for (const Kind kind : kKinds) {
    std::set<std::string_view> names;
    for (const Class& entry : classes(kind)) {
      EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
      if (kind != Kind::kSection) {
        EXPECT_EQ(find_class(kind, entry.name), &entry) << entry.name;
      }
      std::set<std::string_view> arguments;
      for (const Argument& argument : entry.arguments) {
        EXPECT_TRUE(arguments.insert(argument.name).second) << entry.name << "." << argument.name;
        EXPECT_EQ(entry.find(argument.name), &argument);
      }
    }
  }
}

TEST(KeyTableTest, PythonsPathsNameTheSameClassAndOthersDoNot) {
  const Class* adam = find_class(Kind::kOptimizer, "AdamW");
  ASSERT_NE(adam, nullptr);
  EXPECT_EQ(find_class(Kind::kOptimizer, "torch.optim.AdamW"), adam);
  EXPECT_EQ(find_class(Kind::kCallback, "lightning.pytorch.callbacks.ModelCheckpoint"),
            find_class(Kind::kCallback, "ModelCheckpoint"));
  EXPECT_EQ(find_class(Kind::kCallback, "pytorch_lightning.callbacks.ModelCheckpoint"),
            find_class(Kind::kCallback, "ModelCheckpoint"));
  EXPECT_EQ(find_class(Kind::kTransform, "torchvision.transforms.v2.Resize"),
            find_class(Kind::kTransform, "Resize"));
  EXPECT_EQ(find_class(Kind::kOptimizer, "my.package.AdamW"), nullptr);
  EXPECT_EQ(find_class(Kind::kOptimizer, "adamw"), nullptr);
  EXPECT_EQ(find_class(Kind::kOptimizer, ""), nullptr);
}

TEST(KeyTableTest, EveryDefaultKeepsTheTypeRuleAndSupportOfItsRow) {
  int checked = 0;
  for (const Kind kind : kKinds) {
    for (const Class& entry : classes(kind)) {
      for (const Argument& argument : entry.arguments) {
        if (argument.fallback == kRequired) continue;
        const std::string name = std::string(entry.name) + "." + std::string(argument.name);
        Findings findings;
        check_value(argument, default_value(argument), name, /*check_available=*/true, findings);
        EXPECT_TRUE(findings.empty()) << findings.status();
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 300);
}

// A row that nobody can satisfy or read would be found by users only.
TEST(KeyTableTest, EveryRowIsWrittenInTheLanguageOfItsCells) {
  for (const Kind kind : kKinds) {
    for (const Class& entry : classes(kind)) {
      for (const Argument& argument : entry.arguments) {
        SCOPED_TRACE(std::string(entry.name) + "." + std::string(argument.name));
        const bool documented = kind == Kind::kLayer || kind == Kind::kTransform;  // by PyTorch
        EXPECT_TRUE(documented || !argument.about.empty());
        EXPECT_FALSE(describe_type(argument.type).empty());
        EXPECT_TRUE(argument.support.empty() || argument.support == "later" ||
                    argument.support.starts_with("only: "));
        EXPECT_FALSE(argument.support == "later" && argument.fallback == kRequired);
        const std::vector<std::string_view> allowed = choices_of(argument.rule);
        if (!argument.support.starts_with("only: ") || allowed.empty())
          continue;  // of any bool, int
        for (const std::string_view choice : choices_of(argument.support)) {
          EXPECT_NE(std::find(allowed.begin(), allowed.end(), choice), allowed.end()) << choice;
        }
      }
    }
  }
}

// Each default of the trainer, given as it stands, is accepted.
TEST(KeyTableTest, TrainerDefaultsPassTheirOwnChecks) {
  constexpr char kJob[] =
      "model: {class_path: Classifier, init_args: {layers: [{Linear: {in_features: 8, "
      "out_features: 4}}]}}\ndata: {class_path: SyntheticDataModule}\n"
      "optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n";
  for (const Argument& argument : section("trainer").arguments) {
    ParseOptions options;
    options.overrides = {"--trainer." + std::string(argument.name) + "=" +
                         std::string(argument.fallback)};
    const auto config = parse(kJob, options);
    EXPECT_TRUE(config.ok()) << argument.name << ": " << config.status();
  }
}

}  // namespace
}  // namespace lctl::jobspec::keys
