#include "jobspec/yaml_writer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "jobspec/yaml_reader.h"

namespace lctl::jobspec {
namespace {

Value read_back(const std::string& text) {
  Findings findings;
  const auto value = read_yaml(text, nullptr, true, findings);
  return value.has_value() ? *value : Value("does not parse: " + findings.status().ToString());
}

// Texts that a careless writer gets wrong.
const std::vector<std::string>& traps() {
  static const std::vector<std::string> all = {
      "",    " ",        "a",    "yes",    "1",        "1.0",        "1e3",       "null",
      "~",   "- a",      "a: b", "a #b",   "#",        "10:30",      "'",         "\"",
      "\\",  "a\nb",     "\t",   "[x]",    "{x}",      "*a",         "&a",        "!t",
      "%d",  "@x",       "`x`",  "?",      "-",        "|",          ">",         "a,b",
      "ü €", "é\n",      "=",    "<<",     "0x1f",     "2026-11-23", "trail ",    " lead",
      "a: ", "\x01\x7f", ".nan", "\u0085", "a\u2028b", "\ufeffx",    "\u009b[1m", "010"};
  return all;
}

rc::Gen<std::string> any_text() {
  return rc::gen::oneOf(rc::gen::elementOf(traps()),
                        rc::gen::container<std::string>(rc::gen::inRange<char>(32, 127)));
}

Value any_value(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 7 : 5)) {
    case 0:
      return Value();
    case 1:
      return Value(*rc::gen::arbitrary<bool>());
    case 2:
      return Value(*rc::gen::arbitrary<std::int64_t>());
    case 3:
      return Value(*rc::gen::arbitrary<double>());
    case 4:
      return Value(*any_text());
    case 5: {
      Value::List items;
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) items.push_back(any_value(depth - 1));
      return Value(std::move(items));
    }
    default: {
      Value map = Value::empty_map();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
        const std::string key = *any_text();
        if (!key.empty() && key != "<<") map.set(key, any_value(depth - 1));
      }
      return map;
    }
  }
}

RC_GTEST_PROP(YamlWriterTest, WhatIsWrittenReadsBackAsTheSameValue, ()) {
  const Value value = any_value(3);
  const std::string text = write_yaml(value);
  RC_LOG() << text;
  RC_ASSERT(read_back(text) == value);
  RC_ASSERT(read_back(write_yaml_line(value)) == value);
}

TEST(YamlWriterTest, EveryTrapIsQuotedWhereItMustBe) {
  for (const std::string& text : traps()) {
    EXPECT_EQ(read_back(write_yaml(Value(text))), Value(text)) << text;
  }
}

// PyYAML would take these for line ends, or refuse them.
TEST(YamlWriterTest, WhatOtherReadersTakeForLineEndsIsEscaped) {
  EXPECT_EQ(write_yaml_line(Value("a\u0085\u2028\u2029\ufeff\uffff b")),
            R"("a\x85\u2028\u2029\ufeff\uffff b")");
  EXPECT_EQ(write_yaml_line(Value("\u00fc \u20ac")), "\"\u00fc \u20ac\"");
}

TEST(YamlWriterTest, BlocksForPeopleBracketsForScalars) {
  Value job = Value::empty_map();
  job.set("betas", Value(Value::List{Value(0.9), Value(0.999)}));
  Value trainer = Value::empty_map();
  trainer.set("max_epochs", Value(3));
  job.set("trainer", trainer);
  EXPECT_EQ(write_yaml(job), "betas: [0.9, 0.999]\ntrainer:\n  max_epochs: 3\n");
}

}  // namespace
}  // namespace lctl::jobspec
