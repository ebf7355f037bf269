#include "jobspec/yaml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/status.h"

namespace lctl::jobspec {
namespace {

using testing::HasSubstr;

struct Reading {
  std::optional<Value> value;
  Findings findings;
};

Reading read(const std::string& text, const ReadLimits& limits = {}) {
  Reading reading;
  reading.value = read_yaml(text, std::make_shared<const std::string>("job.yaml"),
                            /*has_lines=*/true, reading.findings, limits);
  return reading;
}

// The text is refused, with a finding at `line` that says `message`.
void expect_refused(const std::string& text, int line, const std::string& message,
                    const ReadLimits& limits = {}) {
  SCOPED_TRACE(text.substr(0, 80));
  const Reading reading = read(text, limits);
  EXPECT_FALSE(reading.value.has_value());
  ASSERT_FALSE(reading.findings.empty());
  const SpecError& first = reading.findings.errors().front();
  EXPECT_EQ(first.line, line);
  EXPECT_THAT(first.text(), HasSubstr(message));
}

TEST(YamlReaderTest, ValuesKnowWhereTheyStand) {
  const Reading reading = read("a:\n  b: [1, 2.0,\n      x]\n");
  ASSERT_TRUE(reading.value.has_value());
  const Value* list = reading.value->find("a")->find("b");
  ASSERT_EQ(list->list().size(), 3U);
  EXPECT_TRUE(list->list()[0].is_int());
  EXPECT_TRUE(list->list()[1].is_float());
  EXPECT_EQ(list->list()[2].location().str(), "job.yaml:3");
  EXPECT_EQ(list->list()[2].location().column, 7);
}

TEST(YamlReaderTest, QuotedScalarsAreTexts) {
  const Reading reading = read("{a: \"1\", b: 'yes', c: yes}");
  EXPECT_EQ(reading.value->find("a")->as_string(), "1");
  EXPECT_EQ(reading.value->find("b")->as_string(), "yes");
  EXPECT_TRUE(reading.value->find("c")->as_bool());
}

TEST(YamlReaderTest, AliasesAndMergeKeysAreExpanded) {
  const Reading reading = read("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\nsame: *b\n");
  ASSERT_TRUE(reading.value.has_value()) << message_of(reading.findings.status());
  EXPECT_EQ(reading.value->find("mine")->find("x")->as_int(), 1);
  EXPECT_EQ(reading.value->find("mine")->find("y")->as_int(), 3);
  EXPECT_EQ(*reading.value->find("same"), *reading.value->find("base"));
}

TEST(YamlReaderTest, WindowsLineEndsAndAByteOrderMarkAreFine) {
  const Reading reading = read(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: two\r\n");
  ASSERT_TRUE(reading.value.has_value());
  EXPECT_EQ(reading.value->find("b")->as_string(), "two");
}

TEST(YamlReaderTest, WhatAJobFileHasNoUseForIsRefused) {
  expect_refused("a: 1\nb: 2\na: 3\n", 3, "given twice; first at line 1");
  expect_refused("a: !!python/object:os.system {}\n", 1, "tag");
  expect_refused("a: 1\n---\nb: 2\n", 2, "document");
  expect_refused("a:\n\tb: 1\n", 2, "tab");
  expect_refused("a: [1, 2\nb: 3\n", 2, "not valid YAML");
  expect_refused("a: 10:30\n", 1, "base 60");
  expect_refused("a: {b: 010}\n", 1, "a.b: YAML reads `010` as a number in base 8");
  expect_refused("a: &x [*x]\n", 1, "stands inside the value that it names");
  expect_refused("a: 9223372036854775808\n", 1, "out of range");
  expect_refused("a: *nowhere\n", 1, "");
  expect_refused("? [1, 2]\n: x\n", 1, "");
}

TEST(YamlReaderTest, TextThatIsNoUtf8IsRefused) {
  const Reading reading = read("a: \xff\xfe\n");
  EXPECT_FALSE(reading.value.has_value());
  EXPECT_FALSE(reading.findings.empty());
}

TEST(YamlReaderTest, SizeDepthAndNodesAreBounded) {
  expect_refused(std::string(2000, ' '), 0, "", {.bytes = 1000});
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  deep += std::string(100, ']');
  expect_refused(deep, 1, "");
  for (const char* opening : {"[", "{a: ", "- ", "? "}) {
    std::string nested;
    while (nested.size() < 500'000) nested += opening;
    expect_refused(nested, 1, "more than 64 levels");
  }
  expect_refused("[1, 2, 3, 4, 5, 6]", 1, "", {.nodes = 5});
  expect_refused(std::string(300, 'k') + ": 1\n", 1, "");
}

TEST(YamlReaderTest, ABillionLaughsAreRefusedAtOnce) {
  std::string text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 10; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += "*a" + std::to_string(i - 1) + (j < 9 ? ", " : "]\n");
  }
  const Reading reading = read(text);
  EXPECT_FALSE(reading.value.has_value());
  EXPECT_FALSE(reading.findings.empty());
}

TEST(YamlReaderTest, AnEmptyTextIsNull) {
  const Reading reading = read("# nothing here\n");
  ASSERT_TRUE(reading.value.has_value());
  EXPECT_TRUE(reading.value->is_null());
}

}  // namespace
}  // namespace lctl::jobspec
