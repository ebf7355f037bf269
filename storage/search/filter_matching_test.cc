#include "storage/search/filter_matching.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

// After gtest, which it needs.
#include <rapidcheck/gtest.h>

namespace lctl::storage {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Comparison with(Operator op, auto value) { return {.key = {}, .op = op, .value = value}; }

TEST(FilterMatchingTest, NumbersCompareAsNumbers) {
  const FoundValue found{.text = "1e-2", .number = 0.01};
  EXPECT_TRUE(holds(with(Operator::kEqual, 0.01), found));
  EXPECT_TRUE(holds(with(Operator::kLessOrEqual, 0.01), found));
  EXPECT_FALSE(holds(with(Operator::kLess, 0.01), found));
  EXPECT_TRUE(holds(with(Operator::kGreater, 0.001), found));
  EXPECT_TRUE(holds(with(Operator::kEqual, std::string("1e-2")), found));
  EXPECT_FALSE(holds(with(Operator::kEqual, std::string("0.01")), found));
  EXPECT_FALSE(holds(with(Operator::kNotEqual, 1.0), {.text = "adam", .number = {}}));
}

TEST(FilterMatchingTest, WhatIsMissingFitsNothingButIsNull) {
  for (const Operator op : {Operator::kEqual, Operator::kNotEqual, Operator::kLess}) {
    EXPECT_FALSE(holds(with(op, 1.0), {}));
    EXPECT_FALSE(holds(with(op, std::string("x")), {}));
  }
  EXPECT_FALSE(holds(with(Operator::kNotIn, Texts{"x"}), {}));
  EXPECT_TRUE(holds(with(Operator::kIsNull, std::monostate()), {}));
  EXPECT_FALSE(holds(with(Operator::kIsNotNull, std::monostate()), {}));
  EXPECT_TRUE(holds(with(Operator::kIsNotNull, std::monostate()), {.text = {}, .number = 1}));
}

TEST(FilterMatchingTest, NaNIsOnlyUnequal) {
  const FoundValue found{.text = {}, .number = kNaN};
  EXPECT_TRUE(holds(with(Operator::kNotEqual, 0.0), found));
  for (const Operator op : {Operator::kEqual, Operator::kLess, Operator::kGreaterOrEqual}) {
    EXPECT_FALSE(holds(with(op, 0.0), found));
  }
}

TEST(FilterMatchingTest, TextsAreComparedInListsAndPatterns) {
  const FoundValue found{.text = "Digits-mlp", .number = {}};
  EXPECT_TRUE(holds(with(Operator::kIn, Texts{"a", "Digits-mlp"}), found));
  EXPECT_FALSE(holds(with(Operator::kNotIn, Texts{"a", "Digits-mlp"}), found));
  EXPECT_TRUE(holds(with(Operator::kNotIn, Texts{"a"}), found));
  EXPECT_TRUE(holds(with(Operator::kLike, std::string("Digits%")), found));
  EXPECT_FALSE(holds(with(Operator::kLike, std::string("digits%")), found));
  EXPECT_TRUE(holds(with(Operator::kILike, std::string("dIGITS_ml_")), found));
}

TEST(FilterMatchingTest, PatternsAreSqlLike) {
  const auto like = [](const char* text, const char* pattern) {
    return is_like(text, pattern, false);
  };
  EXPECT_TRUE(like("", ""));
  EXPECT_TRUE(like("", "%%"));
  EXPECT_FALSE(like("", "_"));
  EXPECT_FALSE(like("abc", "ab"));
  EXPECT_TRUE(like("abcabd", "%abd"));
  EXPECT_TRUE(like("abc", "%b%"));
  EXPECT_FALSE(like("abc", "%d%"));
  EXPECT_TRUE(like("\xC3\xA9t\xC3\xA9", "_t_"));  // é is one character
  // No exponential time.
  EXPECT_FALSE(is_like(std::string(2'000, 'a'), "%a%a%a%a%a%a%a%a%a%a%b", false));
}

// Against the definition by recursion.
bool defined_like(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '%') {
    return defined_like(text, pattern.substr(1)) ||
           (!text.empty() && defined_like(text.substr(1), pattern));
  }
  return !text.empty() && (pattern[0] == '_' || pattern[0] == text[0]) &&
         defined_like(text.substr(1), pattern.substr(1));
}

RC_GTEST_PROP(FilterMatchingProperty, LikeIsItsDefinition, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b'));
  const auto pattern = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '%', '_'));
  const std::string_view short_text = std::string_view(text).substr(0, 12);
  const std::string_view short_pattern = std::string_view(pattern).substr(0, 8);
  RC_ASSERT(is_like(short_text, short_pattern, false) == defined_like(short_text, short_pattern));
}

TEST(FilterMatchingTest, OrderPutsNaNAndNothingLastEitherWay) {
  const auto sorted = [](bool descending) {
    std::vector<FoundValue> values = {{.text = {}, .number = {}}, {.text = {}, .number = kNaN},
                                      {.text = {}, .number = 1},  {.text = "adam", .number = {}},
                                      {.text = {}, .number = 3},  {.text = "sgd", .number = {}},
                                      {.text = {}, .number = 2}};
    std::sort(values.begin(), values.end(), [&](const FoundValue& a, const FoundValue& b) {
      return compare(a, b, descending) < 0;
    });
    std::string text;
    for (const FoundValue& value : values) {
      text += value.text     ? *value.text
              : value.number ? std::to_string(*value.number).substr(0, 3)
                             : "none";
      text += ' ';
    }
    return text;
  };
  EXPECT_EQ(sorted(false), "1.0 2.0 3.0 adam sgd nan none ");
  EXPECT_EQ(sorted(true), "3.0 2.0 1.0 sgd adam nan none ");
}

}  // namespace
}  // namespace lctl::storage
