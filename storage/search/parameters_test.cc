#include "storage/search/parameters.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ParametersTest, ScalarsHaveTheirPathAndNumbersAreNumbers) {
  EXPECT_THAT(flatten_yaml("lr: 1e-3\n"
                           "optimizer: adam\n"
                           "layers:\n- {out: 32, bias: true}\n- {out: '64'}\n"
                           "nothing: null\nempty: {}\nnone: []\nhuge: .inf\n"),
              ElementsAre(Parameter{"huge", ".inf", {}},           //
                          Parameter{"layers.0.bias", "true", {}},  //
                          Parameter{"layers.0.out", "32", 32.0},   //
                          Parameter{"layers.1.out", "64", {}},     //
                          Parameter{"lr", "1e-3", 0.001},          //
                          Parameter{"nothing", "null", {}},        //
                          Parameter{"optimizer", "adam", {}}));
}

TEST(ParametersTest, SectionJobIsLeftOutOfAJobFileOnly) {
  const char* yaml = "job: {name: x, tags: {a: b}}\ntrainer: {max_epochs: 3}\n";
  EXPECT_THAT(flatten_config(yaml), ElementsAre(Parameter{"trainer.max_epochs", "3", 3.0}));
  EXPECT_EQ(flatten_yaml(yaml).size(), 3u);
}

TEST(ParametersTest, WhatIsNoKeyOrNoScalarIsPassedOver) {
  EXPECT_THAT(flatten_yaml("? [a, b]\n: 1\n? {c: d}\n: {e: 2}\nf: 3\n"),
              ElementsAre(Parameter{"f", "3", 3.0}));
  EXPECT_THAT(flatten_yaml("a: &x {b: 1}\nc: *x\nd: 2\n"),
              ElementsAre(Parameter{"a.b", "1", 1.0}, Parameter{"d", "2", 2.0}));
  EXPECT_THAT(flatten_yaml("just text"), IsEmpty());
  EXPECT_THAT(flatten_yaml(""), IsEmpty());
  EXPECT_THAT(flatten_yaml("- 5\n- 6\n"),
              ElementsAre(Parameter{"0", "5", 5.0}, Parameter{"1", "6", 6.0}));
}

TEST(ParametersTest, BrokenTextKeepsWhatCameBeforeTheMistake) {
  EXPECT_THAT(flatten_yaml("a: 1\nb: ]\nc: 2\n"), ElementsAre(Parameter{"a", "1", 1.0}));
}

TEST(ParametersTest, EverythingIsBounded) {
  std::string many;
  for (int i = 0; i < 3'000; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(flatten_yaml(many).size(), kMaxParameters);
  EXPECT_THAT(flatten_yaml("a: " + std::string(kMaxParameterTextBytes + 1, 'x')), IsEmpty());
  EXPECT_THAT(flatten_yaml(std::string(kMaxParameterKeyBytes + 1, 'x') + ": 1"), IsEmpty());
  EXPECT_THAT(flatten_yaml("a: 1\n" + std::string(kMaxParameterYamlBytes, '#')), IsEmpty());
  EXPECT_THAT(flatten_yaml("a: " + std::string(100'000, '[')), IsEmpty());
}

}  // namespace
}  // namespace lctl::storage
