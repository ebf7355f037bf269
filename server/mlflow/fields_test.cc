#include "server/mlflow/fields.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::mlflow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

http::Request post(std::string body, std::string type = "application/json") {
  return {
      .method = "POST", .headers = {{"content-type", std::move(type)}}, .body = std::move(body)};
}

TEST(FieldsTest, BodyQueryAndPathComeToTheSame) {
  const auto body = Fields::of(post(R"({"run_id": "a", "max_results": 5, "tag": null})"));
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(*body->text("run_id"), "a");
  EXPECT_EQ(*body->integer("max_results"), 5);
  EXPECT_FALSE(body->has("tag"));

  const http::Request get{
      .method = "GET",
      .query = {{"run_id", "a"}, {"max_results", "5"}, {"id", "1"}, {"id", "2"}},
      .parameters = {{"model_id", "m"}}};
  const auto query = Fields::of(get);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(*query->text("run_id"), "a");
  EXPECT_EQ(*query->integer("max_results"), 5);
  EXPECT_THAT(*query->texts("id", 9), ElementsAre("1", "2"));
  EXPECT_THAT(*query->texts("run_id", 9), ElementsAre("a"));
  EXPECT_EQ(*query->text("model_id"), "m");
}

TEST(FieldsTest, WhatAPageCanSendWithoutAskingIsRefused) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", ""}) {
    EXPECT_THAT(Fields::of(post("{}", type)).status().ToString(),
                HasSubstr("Content-Type: application/json"));
  }
  EXPECT_TRUE(Fields::of(post("{}", "application/json; charset=utf-8")).ok());
  // The query of what changes something does not count.
  const http::Request form{.method = "POST", .query = {{"run_id", "a"}}};
  EXPECT_FALSE(Fields::of(form)->has("run_id"));
}

TEST(FieldsTest, NumbersMayBeTexts) {
  const auto fields = Fields::of(
      post(R"({"i": "7", "f": 7.0, "n": "NaN", "p": "Infinity", "m": "-Infinity", "e": "1e3",
               "half": 0.5, "large": 18446744073709551615, "word": "x", "list": []})"));
  EXPECT_EQ(*fields->integer("i"), 7);
  EXPECT_EQ(*fields->integer("f"), 7);
  EXPECT_TRUE(std::isnan(*fields->number("n")));
  EXPECT_TRUE(std::isinf(*fields->number("p")));
  EXPECT_LT(*fields->number("m"), 0);
  EXPECT_EQ(*fields->number("e"), 1'000);
  for (const char* name : {"half", "large", "word", "list", "absent"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(fields->integer(name).status())) << name;
  }
}

TEST(FieldsTest, WrongShapesAreNamed) {
  const auto fields =
      Fields::of(post(R"({"run_id": {}, "tags": [{"value": "x"}], "metrics": 1, "many": [1, 2]})"));
  EXPECT_THAT(fields->text("run_id").status().ToString(), HasSubstr("'run_id': expected a text"));
  EXPECT_THAT(fields->pairs("tags", 9).status().ToString(), HasSubstr("'key'"));
  EXPECT_THAT(fields->objects("metrics", 9).status().ToString(), HasSubstr("list of objects"));
  EXPECT_THAT(fields->texts("many", 1).status().ToString(), HasSubstr("at most 1"));
  EXPECT_FALSE(Fields::of(post("[1]")).ok());
  EXPECT_FALSE(Fields::of(post("{")).ok());
}

TEST(FieldsTest, PairsAreTagsAndParams) {
  const auto fields = Fields::of(post(R"({"tags": [{"key": "a", "value": "b"}, {"key": "c"}]})"));
  EXPECT_THAT(*fields->pairs("tags", 2), ElementsAre(Pair("a", "b"), Pair("c", "")));
  EXPECT_THAT(fields->pairs("tags", 1).status().ToString(),
              HasSubstr("can contain at most 1 tags. Got 2 tags"));
}

}  // namespace
}  // namespace lctl::mlflow
