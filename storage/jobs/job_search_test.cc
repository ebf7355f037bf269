// JobStore: tags, notes and searches.
#include <cmath>

#include "storage/jobs/job_store.h"
#include "storage/search/filter_parsing.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JobSearchTest : public StoreTest {
 protected:
  JobStore& jobs() { return store().jobs(); }

  JobId add(std::string_view name, const std::string& config = "trainer: {max_epochs: 1}\n",
            const Tags& tags = {}) {
    v1::Job job = make_job(std::string(name) + "-id", name);
    job.mutable_spec()->set_config_yaml(config);
    job.mutable_spec()->mutable_tags()->insert(tags.begin(), tags.end());
    const auto made = jobs().create({.job = job}, "");
    EXPECT_EQ(text_of(made.status()), "OK");
    return *made;
  }

  void report(const JobId& job, v1::Event event) {
    const StreamKey stream{{job, 1}, 0, StreamKind::kEvents};
    const std::uint64_t from = *store().events().committed_offset(stream);
    const auto applied =
        store().events().apply(stream, from, from + kRecordBytes, {record(from, std::move(event))});
    ASSERT_EQ(text_of(applied.status()), "OK");
  }
  void report_hyperparameters(const JobId& job, const std::string& yaml) {
    v1::Event event;
    event.mutable_hyperparameters()->set_yaml(yaml);
    report(job, event);
  }
  void log(const JobId& job, std::int64_t step, double value, const std::string& key) {
    report(job, metric_record(0, step, value, key).event);
  }

  std::vector<std::string> names(const JobFilter& filter) {
    const auto found = jobs().list(filter);
    EXPECT_EQ(text_of(found.status()), "OK");
    std::vector<std::string> names;
    if (found.ok()) {
      for (const v1::Job& job : *found) names.push_back(job.spec().name());
    }
    return names;
  }
  std::vector<std::string> where(const std::string& text) {
    const auto filter = parse_filter(text);
    EXPECT_EQ(text_of(filter.status()), "OK") << text;
    return names({.where = *filter});
  }
  std::vector<std::string> sorted_by(const std::vector<std::string>& keys) {
    JobFilter filter;
    for (const std::string& key : keys) filter.order.push_back(*parse_order(key));
    return names(filter);
  }
  std::vector<std::string> search(const std::string& text) { return names({.search = text}); }
};

TEST_F(JobSearchTest, TagsOfTheSubmissionChangeAndTheSpecStays) {
  const JobId job = add("a", "", {{"team", "vision"}, {"old", "1"}});
  const auto changed = jobs().label(
      job, {.tags = {{"team", "audio"}, {"new", "2"}}, .removed_tags = {"old"}, .note = "good"});
  ASSERT_EQ(text_of(changed.status()), "OK");
  EXPECT_EQ(changed->note(), "good");
  reopen();
  const v1::Job read = *jobs().get(job);
  EXPECT_EQ(Tags(read.tags().begin(), read.tags().end()), (Tags{{"team", "audio"}, {"new", "2"}}));
  EXPECT_EQ(read.note(), "good");
  EXPECT_EQ(read.spec().tags().at("team"), "vision");
  EXPECT_EQ(jobs().list({})->front().note(), "good");
  EXPECT_EQ(jobs().list({})->front().tags_size(), 2);
  ASSERT_EQ(text_of(jobs().label(job, {.note = ""}).status()), "OK");
  EXPECT_EQ(jobs().get(job)->note(), "");
  EXPECT_EQ(jobs().get(job)->tags_size(), 2);
}

TEST_F(JobSearchTest, RefusedChangeLeavesEverythingAsItWas) {
  const JobId job = add("a", "", {{"x", "1"}});
  const auto missing =
      jobs().label(job, {.tags = {{"y", "2"}}, .removed_tags = {"z"}, .note = "n"});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(message_of(missing.status()), "job a-id: it has no tag 'z'; it has x");
  EXPECT_EQ(jobs().get(job)->tags_size(), 1);
  EXPECT_EQ(jobs().get(job)->note(), "");
  EXPECT_EQ(jobs().label(JobId("nothing"), {.note = "n"}).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(JobSearchTest, AttributesAndTagsSelect) {
  add("lr-1", "", {{"team", "vision"}});
  add("lr-2", "", {{"team", "audio"}});
  const JobId last = add("other");
  start_attempt(store(), last, 1);
  EXPECT_THAT(where("name LIKE 'lr%'"), ElementsAre("lr-2", "lr-1"));
  EXPECT_THAT(where("tags.team = 'vision'"), ElementsAre("lr-1"));
  EXPECT_THAT(where("tags.team != 'vision'"), ElementsAre("lr-2"));
  EXPECT_THAT(where("tags.team IS NULL"), ElementsAre("other"));
  EXPECT_THAT(where("state = 'running'"), ElementsAre("other"));
  EXPECT_THAT(where("status = 'SCHEDULED' AND experiment = 'default'"),
              ElementsAre("lr-2", "lr-1"));
  EXPECT_THAT(where("run_id IN ('lr-1-id', 'other-id')"), ElementsAre("other", "lr-1"));
  EXPECT_THAT(where("attempt >= 1 AND user = 'me@here'"), ElementsAre("other"));
  EXPECT_THAT(where("submit_time = 1 AND end_time IS NULL AND name = 'other'"),
              ElementsAre("other"));
  EXPECT_THAT(where("submit_time > 1"), IsEmpty());
  EXPECT_THAT(names({.limit = 1, .where = *parse_filter("name LIKE 'lr%'")}), ElementsAre("lr-2"));
}

TEST_F(JobSearchTest, ValuesAreThoseThatAFilterSees) {
  const JobId a =
      add("a", "optimizer: {class_path: SGD, init_args: {lr: 1e-2}}\n", {{"team", "x"}});
  const JobId b = add("b");
  start_attempt(store(), a, 1);
  log(a, 1, 0.5, "val/acc");
  log(a, 2, 0.75, "val/acc");
  std::vector<SearchKey> keys;
  for (const char* key : {"val/acc", "params.lr", "tags.team", "name", "submit_time"}) {
    keys.push_back(parse_order(key)->key);
  }
  const std::vector<std::string> ids = {b.str(), "gone", a.str()};
  const auto found = jobs().values(ids, keys);
  ASSERT_EQ(text_of(found.status()), "OK");
  ASSERT_EQ(found->size(), 3U);
  const std::vector<FoundValue>& of_a = (*found)[2];
  EXPECT_EQ(of_a[0].number, 0.75) << "the last one";
  EXPECT_EQ(of_a[1].text, "1e-2");
  EXPECT_EQ(of_a[1].number, 0.01);
  EXPECT_EQ(of_a[2].text, "x");
  EXPECT_EQ(of_a[3].text, "a");
  EXPECT_TRUE(of_a[4].number.has_value());
  EXPECT_TRUE((*found)[0][0].empty());
  EXPECT_EQ((*found)[0][3].text, "b");
  ASSERT_EQ((*found)[1].size(), keys.size());
  EXPECT_TRUE((*found)[1][3].empty()) << "a job that is gone";
}

TEST_F(JobSearchTest, ParametersComeFromTheJobFileAndFromTheTrainer) {
  const JobId a = add("a", "optimizer: {class_path: SGD, init_args: {lr: 1e-2}}\nmodel: {x: 1}\n");
  add("b", "optimizer: {class_path: Adam, init_args: {lr: 0.001}}\nmodel: {x: 1}\n");
  EXPECT_THAT(where("hparams.lr > 5e-3"), ElementsAre("a"));
  EXPECT_THAT(where("params.optimizer.init_args.lr = 0.01"), ElementsAre("a"));
  EXPECT_THAT(where("params.lr = '1e-2'"), ElementsAre("a"));
  EXPECT_THAT(where("params.optimizer.class_path ILIKE 'ad%'"), ElementsAre("b"));
  EXPECT_THAT(where("params.class_path = 'Adam'"), ElementsAre("b"));
  EXPECT_THAT(where("params.r > 0"), IsEmpty()) << "no part of a name";
  // The trainer's word counts more, and replaces its earlier one.
  start_attempt(store(), a, 1);
  report_hyperparameters(a, "lr: 5\ngone: 1\n");
  EXPECT_THAT(where("params.gone = 1"), ElementsAre("a"));
  report_hyperparameters(a, "lr: 7\n");
  EXPECT_THAT(where("params.gone = 1"), IsEmpty());
  EXPECT_THAT(where("params.lr = 7"), ElementsAre("a"));
  EXPECT_THAT(where("params.optimizer.init_args.lr = 0.01"), ElementsAre("a"));
}

TEST_F(JobSearchTest, EndOfAPathCountsWhenOnlyOneEndsSo) {
  add("a", "model: {init_args: {size: 1}}\ndata: {init_args: {size: 1}}\n");
  EXPECT_THAT(where("params.size = 1"), IsEmpty());
  EXPECT_THAT(where("params.data.init_args.size = 1"), ElementsAre("a"));
}

TEST_F(JobSearchTest, MetricsAreComparedWithTheLastValueOfTheCurve) {
  const JobId a = add("a");
  const JobId b = add("b");
  start_attempt(store(), a, 1);
  start_attempt(store(), b, 1);
  log(a, 0, 0.9, "val/loss");
  log(a, 1, 0.05, "val/loss");
  log(b, 0, 0.05, "val/loss");
  log(b, 1, std::nan(""), "val/loss");
  EXPECT_THAT(where("val/loss < 0.1"), ElementsAre("a"));
  EXPECT_THAT(where("val/loss != 5"), ElementsAre("b", "a")) << "NaN is unequal";
  EXPECT_THAT(where("val/loss >= 0 and nothing > 1"), IsEmpty());
  EXPECT_THAT(where("nothing IS NULL"), ElementsAre("b", "a"));
}

TEST_F(JobSearchTest, SupersededPointsAreNotCompared) {
  const JobId job = add("a");
  start_attempt(store(), job, 1);
  log_steps(store(), {job, 1}, 0, 10);
  const auto checkpoint = upload(store(), {.attempt = {job, 1}, .step = 4});
  ASSERT_EQ(text_of(checkpoint.status()), "OK");
  start_attempt(store(), job, 2, checkpoint->str());
  EXPECT_THAT(where("train/loss = 3"), ElementsAre("a")) << "where the checkpoint was captured";
  EXPECT_THAT(where("train/loss = 9"), IsEmpty());
  log_steps(store(), {job, 2}, 4, 2);
  EXPECT_THAT(where("train/loss = 5"), ElementsAre("a"));
}

TEST_F(JobSearchTest, OrderIsByKeysThenNewestWithTheMissingLast) {
  const JobId low = add("low", "lr: 1\n");
  add("none", "lr: 2\n");
  const JobId high = add("high", "lr: 1\n");
  const JobId nan = add("nan", "lr: 3\n");
  for (const JobId& job : {low, high, nan}) start_attempt(store(), job, 1);
  log(low, 0, 0.1, "acc");
  log(high, 0, 0.9, "acc");
  log(nan, 0, std::nan(""), "acc");
  EXPECT_THAT(sorted_by({"acc"}), ElementsAre("low", "high", "nan", "none"));
  EXPECT_THAT(sorted_by({"-acc"}), ElementsAre("high", "low", "nan", "none"));
  EXPECT_THAT(sorted_by({"params.lr DESC"}), ElementsAre("nan", "none", "high", "low"));
  EXPECT_THAT(sorted_by({"params.lr", "acc"}), ElementsAre("low", "high", "none", "nan"));
  EXPECT_THAT(sorted_by({"name"}), ElementsAre("high", "low", "nan", "none"));
}

TEST_F(JobSearchTest, PagesOfAnOrderGoOnBehindAJobThatFitsNoMore) {
  for (const char* name : {"d", "a", "c", "b"}) add(name);
  JobFilter filter{.limit = 2, .order = {*parse_order("name")}};
  EXPECT_THAT(names(filter), ElementsAre("a", "b"));
  filter.before = "b-id";
  filter.where = *parse_filter("name != 'b'");
  EXPECT_THAT(names(filter), ElementsAre("c", "d"));
  filter.before = "nothing";
  EXPECT_EQ(jobs().list(filter).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(JobSearchTest, WordsAreFoundInNamesTagsAndNotes) {
  add("digits-mlp", "", {{"team", "Vision Lab"}});
  const JobId other = add("other");
  EXPECT_THAT(search("dig"), ElementsAre("digits-mlp"));
  EXPECT_THAT(search("MLP vision"), ElementsAre("digits-mlp"));
  EXPECT_THAT(search("vision nothing"), IsEmpty());
  EXPECT_THAT(search("default"), ElementsAre("other", "digits-mlp")) << "the experiment";
  ASSERT_EQ(text_of(jobs()
                        .label(other, {.tags = {{"team", "vision"}},
                                       .removed_tags = {},
                                       .note = "Überraschend gut: \"best\" so far"})
                        .status()),
            "OK");
  EXPECT_THAT(search("vision"), ElementsAre("other", "digits-mlp"));
  EXPECT_THAT(search("ÜBER"), ElementsAre("other"));
  EXPECT_THAT(search("\"best\""), ElementsAre("other"));
  EXPECT_THAT(names({.where = *parse_filter("name = 'other'"), .search = "vision"}),
              ElementsAre("other"));
  ASSERT_EQ(text_of(jobs().label(other, {.removed_tags = {"team"}, .note = ""}).status()), "OK");
  EXPECT_THAT(search("vision"), ElementsAre("digits-mlp"));
  EXPECT_THAT(search("best"), IsEmpty());
  // FTS5's own language is only text here.
  for (const char* text : {"name : a", "a AND", "NEAR(a b)", "\"", "^a", "{x", "a*", "日本"}) {
    jobs().list({.search = text}).IgnoreError();
    EXPECT_NE(jobs().list({.search = text}).status().code(), absl::StatusCode::kInternal) << text;
  }
  EXPECT_THAT(std::string(message_of(jobs().list({.search = " - "}).status())),
              HasSubstr("has no word"));
}

TEST_F(JobSearchTest, TheCommitIsATag) {
  v1::SourceCode source;
  source.set_commit("0123abc");
  source.set_branch("main");
  ASSERT_TRUE(jobs().create({.job = make_job("a-id", "a"), .source = source}, "").ok());
  add("b", "");
  EXPECT_THAT(where("tags.`mlflow.source.git.commit` LIKE '0123%'"), ElementsAre("a"));
  EXPECT_THAT(where("tags.`mlflow.source.git.branch` = 'main'"), ElementsAre("a"));
  EXPECT_THAT(where("tags.`mlflow.source.git.branch` = 'other'"), IsEmpty());
  EXPECT_THAT(names({.search = "main"}), IsEmpty()) << "not among what people wrote";
}

}  // namespace
}  // namespace lctl::storage
