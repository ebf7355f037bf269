#include "storage/search/filter_parsing.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

struct Case {
  std::string text;
  std::string means;  // as to_text() writes it
};

TEST(FilterParsingTest, TextsMeanWhatMlflowSaysTheyDo) {
  const std::vector<Case> cases = {
      // Of MLflow's documentation of search_runs.
      {"metrics.rmse < 1", "metrics.`rmse` < 1"},
      {"metrics.accuracy > 0.72", "metrics.`accuracy` > 0.72"},
      {"metrics.`f1 score` >= 0.8", "metrics.`f1 score` >= 0.8"},
      {"metrics.\"cross-entropy loss\" <= 1.5", "metrics.`cross-entropy loss` <= 1.5"},
      {"params.model = 'LogisticRegression'", "params.`model` = 'LogisticRegression'"},
      {"params.\"model\" LIKE 'GPT%'", "params.`model` LIKE 'GPT%'"},
      {"params.model ILIKE 'gpt-3%'", "params.`model` ILIKE 'gpt-3%'"},
      {"params.`random state` = \"8888\"", "params.`random state` = '8888'"},
      {"tags.environment = 'notebook'", "tags.`environment` = 'notebook'"},
      {"tags.\"mlflow.parentRunId\" = '92dd'", "tags.`mlflow.parentRunId` = '92dd'"},
      {"tag.mlflow.source.name != 'x'", "tags.`mlflow.source.name` != 'x'"},
      {"attributes.status = \"FINISHED\"", "state IN ('SUCCEEDED')"},
      {"attributes.start_time > 1664067852747", "start_time > 1664067852747"},
      {"attributes.run_id IN ('a59', '3fc')", "id IN ('a59', '3fc')"},
      {"attributes.run_id NOT IN (\"a59\")", "id NOT IN ('a59')"},
      {"attributes.user_id LIKE \"user1%\"", "user LIKE 'user1%'"},
      {"run_name = 'a'", "name = 'a'"},
      {"attributes.`Run name` = 'a'", "name = 'a'"},
      {"\"run name\" = 'a'", "name = 'a'"},
      {"metrics.loss < 1 AND params.lr = '0.1' and tags.x = 'y'",
       "metrics.`loss` < 1 AND params.`lr` = '0.1' AND tags.`x` = 'y'"},
      {"  ", ""},
      // Ours.
      {"val/loss < 0.1 and hparams.lr > 1e-3", "metrics.`val/loss` < 0.1 AND params.`lr` > 0.001"},
      {"val/loss<.5 aNd hparams.lr>=-1E-3", "metrics.`val/loss` < 0.5 AND params.`lr` >= -0.001"},
      {"name = 'a' AND state != 'running'", "name = 'a' AND state NOT IN ('RUNNING')"},
      {"status = 'RUNNING'", "state IN ('RUNNING', 'STOPPING')"},
      {"status IN ('SCHEDULED', 'KILLED')", "state IN ('QUEUED', 'STARTING', 'STOPPED')"},
      {"experiment = 'lr' AND user LIKE '%@here'", "experiment = 'lr' AND user LIKE '%@here'"},
      {"accuracy > +0.5", "metrics.`accuracy` > 0.5"},
      {"`a.b` = 1", "metrics.`a.b` = 1"},
      {"val/loss.best = 1", "metrics.`val/loss.best` = 1"},
      {"tags.x IS NULL AND note is not null", "tags.`x` IS NULL AND note IS NOT NULL"},
      {"tags.`it``s` = 'it''s'", "tags.`it``s` = 'it''s'"},
      {"params.and = 'AND'", "params.`and` = 'AND'"},
      {"attempt > 1 AND restarts = 0", "attempt > 1 AND restarts = 0"},
  };
  for (const Case& one : cases) {
    const auto filter = parse_filter(one.text);
    ASSERT_TRUE(filter.ok()) << one.text << ": " << filter.status();
    EXPECT_EQ(to_text(*filter), one.means) << one.text;
    const auto again = parse_filter(one.means);
    ASSERT_TRUE(again.ok()) << one.means << ": " << again.status();
    EXPECT_EQ(*again, *filter) << one.means;
  }
}

TEST(FilterParsingTest, MistakesAreShownWithTheirPlaceAndWhatWasExpected) {
  const std::vector<Case> cases = {
      {"val/loss", "column 9: expected one of =, !="},
      {"val/loss <",
       "column 11: expected a number such as 0.1 for the metric val/loss, found the end"},
      {"val/loss < 'x'",
       "column 12: the metric val/loss is compared with a number here: expected one"},
      {"val/loss < abc",
       "column 12: expected a number such as 0.1 for the metric val/loss, found `abc`"},
      {"val/loss < inf", "found `inf`"},
      {"val/loss < 1e999", "found `1e999`"},
      {"stat = 'x'",
       "taken for a metric since no attribute has this name: attributes are id, name"},
      {"stat LIKE 'x'", "column 6: the metric stat is a number"},
      {"metrics.a < 1 OR metrics.b < 1", "column 15: OR is not in the grammar"},
      {"metrics.a < 1 metrics.b < 1", "column 15: expected AND or the end, found `metrics.b`"},
      {"metrics.a < 1 AND",
       "column 18: expected a key such as val/loss, params.lr or state, found the end"},
      {"(metrics.a < 1)", "column 1: parentheses are for lists of texts only"},
      {"'a' = 'b'",
       "column 1: expected a key such as val/loss, params.lr or state, found 'a'; keys go in"},
      {"foo.bar = 1", "column 1: `foo` is no kind of key; expected metrics, params"},
      {"dataset.name = 'x'", "column 1: jobs keep no datasets"},
      {"attributes.foo = 'x'", "jobs have no attribute `foo`; they have id, name, experiment"},
      {"metrics. < 1", "column 1: a name is expected behind `metrics.`"},
      {"params.a < '3'", "column 12: the parameter a is compared with a number here"},
      {"params.a = true",
       "column 12: expected a text in 'quotes' for the parameter a, found `true`"},
      {"tags.a = 3", "column 10: expected a text in 'quotes' for the tag a, found `3`"},
      {"tags.a > 'x'", "column 8: the tag a is a text: expected =, !=, LIKE"},
      {"name IN 'x'", "column 9: expected `(` and a list of texts such as ('a', 'b'), found 'x'"},
      {"name IN ()", "column 10: expected a text in quotes, found `)`"},
      {"name IN ('a' 'b')", "column 14: expected `,` or `)`, found 'b'"},
      {"name IN ('a'", "column 13: expected `,` or `)`, found the end"},
      {"name NOT LIKE 'x'", "column 10: expected IN behind NOT, found `LIKE`"},
      {"name IS 'x'", "column 9: expected NULL, found 'x'"},
      {"state = 'DONE'", "column 9: there is no state `DONE`; expected QUEUED, STARTING"},
      {"name == 'x'", "column 6: write `=` for equal"},
      {"name <> 'x'", "column 6: write `!=` for unequal"},
      {"name = 'x", "column 8: the quote ' is never closed"},
      {"name = 'x';", "column 11: `;` means nothing here"},
      {"a\x01 = 1", "column 2: a control character"},
      {"metrics.`a``b`c = 1", "column 15: a space or an operator is expected here"},
      {"name LIKE '" + std::string(513, '%') + "'",
       "column 11: a pattern of 513 bytes; at most 512"},
      {"metrics." + std::string(600, 'x') + " < 1", "a key of 608 bytes; at most 512"},
      {std::string(20'000, ' '), "it has 20000 bytes; at most 16384"},
  };
  for (const Case& one : cases) {
    const auto filter = parse_filter(one.text);
    ASSERT_FALSE(filter.ok()) << one.text;
    EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(message_of(filter.status())), HasSubstr(one.means)) << one.text;
  }
}

TEST(FilterParsingTest, ComparisonsAndListsAreBounded) {
  std::string many = "a < 1";
  for (std::size_t i = 1; i < kMaxComparisons; ++i) many += " AND a < 1";
  EXPECT_TRUE(parse_filter(many).ok());
  EXPECT_THAT(std::string(message_of(parse_filter(many + " AND a < 1").status())),
              HasSubstr("more than 64 comparisons"));
  std::string list = "name IN ('a'";
  for (std::size_t i = 1; i < kMaxInValues; ++i) list += ",'a'";
  EXPECT_TRUE(parse_filter(list + ")").ok());
  EXPECT_THAT(std::string(message_of(parse_filter(list + ",'a')").status())),
              HasSubstr("the list has more than 1000 texts"));
}

TEST(FilterParsingTest, WhatIsNoJobHasItsOwnAttributes) {
  const std::vector<std::string_view> own = {"name", "version_number", "run_id"};
  const auto filter =
      parse_filter("name = 'net' AND attribute.version_number >= 2 AND run_id IN ('a')", own);
  ASSERT_TRUE(filter.ok()) << filter.status();
  for (const Comparison& one : *filter) EXPECT_EQ(one.key.kind, SearchKey::Kind::kOwn);
  EXPECT_TRUE(parse_filter("tags.a = 'b' AND params.lr > 1", own).ok());
  EXPECT_EQ(parse_order("version_number DESC", own)->key.name, "version_number");
  for (const char* text : {"state = 'QUEUED'", "attribute.user = 'a'", "loss > 1"}) {
    EXPECT_THAT(std::string(message_of(parse_filter(text, own).status())),
                HasSubstr("expected name, version_number, run_id, or tags"))
        << text;
  }
}

TEST(FilterParsingTest, OrdersHaveADirection) {
  const std::vector<Case> cases = {
      {"metrics.acc DESC", "metrics.`acc` DESC"}, {"metrics.`a b` asc", "metrics.`a b` ASC"},
      {"val/acc", "metrics.`val/acc` ASC"},       {"-val/acc", "metrics.`val/acc` DESC"},
      {" -hparams.lr", "params.`lr` DESC"},       {"attributes.start_time DESC", "start_time DESC"},
      {"tags.`x` ASC", "tags.`x` ASC"},           {"Created", "start_time ASC"},
  };
  for (const Case& one : cases) {
    const auto order = parse_order(one.text);
    ASSERT_TRUE(order.ok()) << one.text << ": " << order.status();
    EXPECT_EQ(to_text(*order), one.means);
  }
  const std::vector<Case> wrong = {
      {"", "column 1: expected a key"},
      {"-", "column 2: expected a key"},
      {"acc down", "column 5: expected ASC, DESC or the end, found `down`; give one key each"},
      {"-acc DESC", "column 6: expected the end, found `DESC`"},
      {"acc, loss", "column 4: expected ASC, DESC or the end, found `,`"},
  };
  for (const Case& one : wrong) {
    EXPECT_THAT(std::string(message_of(parse_order(one.text).status())), HasSubstr(one.means));
  }
}

}  // namespace
}  // namespace lctl::storage
