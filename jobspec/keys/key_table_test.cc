// The table holds together: every default is one of the values that its own cells allow.
#include "jobspec/keys/key_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "jobspec/arguments.h"
#include "jobspec/config.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Kind kKinds[] = {Kind::kSection,     Kind::kModel,    Kind::kData,   Kind::kOptimizer,
                           Kind::kLrScheduler, Kind::kCallback, Kind::kLogger, Kind::kLayer};

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
  EXPECT_EQ(find_class(Kind::kOptimizer, "my.package.AdamW"), nullptr);
  EXPECT_EQ(find_class(Kind::kOptimizer, "adamw"), nullptr);
  EXPECT_EQ(find_class(Kind::kOptimizer, ""), nullptr);
}

TEST(KeyTableTest, EveryDefaultIsAValueOfItsType) {
  for (const Kind kind : kKinds) {
    for (const Class& entry : classes(kind)) {
      for (const Argument& argument : entry.arguments) {
        if (argument.fallback == kRequired) continue;
        SCOPED_TRACE(std::string(entry.name) + "." + std::string(argument.name));
        const Value& value = default_value(argument);
        const std::string type = "|" + std::string(argument.type) + "|";
        const auto has = [&](const char* part) { return type.find(part) != std::string::npos; };
        if (value.is_bool()) {
          EXPECT_TRUE(has("bool") || has("logger") || has("any"));
        }
        if (value.is_int()) {
          EXPECT_TRUE(has("int") || has("float") || has("duration") || has("size") || has("any"));
        }
        if (value.is_float()) {
          EXPECT_TRUE(has("float") || has("any"));
        }
        if (value.is_list()) {
          EXPECT_TRUE(has("list") || has("callbacks") || has("layers") || has("any"));
        }
        if (value.is_map()) {
          EXPECT_TRUE(has("map") || has("section") || has("any"));
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
