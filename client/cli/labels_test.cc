// Searching in `lctl list`, `lctl tag` and `lctl note` against the fake server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class LabelsTest : public ProgramTest {
 protected:
  LabelsTest() { server_.put_job(make_job("bbbbbbbbbb", "wide", v1::JOB_STATE_QUEUED)); }
};

TEST_F(LabelsTest, ListSearchesAndSorts) {
  EXPECT_EQ(run({"list", "--where", "val/loss < 0.1", "--sort", "-val/acc", "--sort=name DESC",
                 "--search", "digits mlp"})
                .code,
            0);
  const v1::ListJobsRequest asked = server_.lists().back();
  EXPECT_EQ(asked.where(), "val/loss < 0.1");
  EXPECT_THAT(asked.order_by(), ElementsAre("-val/acc", "name DESC"));
  EXPECT_EQ(asked.search(), "digits mlp");
  const Outcome wrong = run({"list", "--where", "refuse me"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err, "lctl: where: column 8: expected one of =, !=\n");
  server_.put_job(make_job("cccccccccc", "third", v1::JOB_STATE_RUNNING));
  EXPECT_EQ(run({"list", "--search", "x", "--experiment", "none"}).out, "No job matches.\n");
}

TEST_F(LabelsTest, ListShowsWhatItSortsByAndWhatIsAskedFor) {
  v1::JobValues values;
  values.add_values()->set_number(1'764'230'400'000);
  values.add_values()->set_number(0.93125);
  values.add_values()->set_text("1e-3");
  values.mutable_values(2)->set_number(1e-3);
  values.add_values();
  values.add_values()->set_number(1'764'230'400'000);
  server_.set_values({"start_time", "metrics.`val/acc`", "params.lr", "tags.team", "submit_time"},
                     {{"bbbbbbbbbb", values}});
  const Outcome shown = run({"list", "--sort=-start_time", "--sort=val/acc", "--show", "hparams.lr",
                             "--show", "tags.team", "--show", "submit_time"});
  EXPECT_THAT(server_.lists().back().show(),
              ElementsAre("-start_time", "val/acc", "hparams.lr", "tags.team", "submit_time"));
  EXPECT_THAT(shown.out, HasSubstr("NAME  val/acc  params.lr  tags.team"));
  EXPECT_THAT(shown.out, HasSubstr("wide   0.9313       1e-3          -"));
  EXPECT_EQ(shown.out.find("start_time"), std::string::npos) << "an attribute that sorts";
  const json row = json::parse(run({"list", "--sort=-start_time", "--sort=val/acc", "--show", "x",
                                    "--show", "y", "--show", "z", "--json"})
                                   .out)[0];
  EXPECT_EQ(row["values"]["val/acc"], 0.93125);
  EXPECT_EQ(row["values"]["params.lr"], 1e-3);
  EXPECT_EQ(row["values"]["tags.team"], nullptr);
  EXPECT_EQ(row["values"]["submit_time"], 1'764'230'400) << "seconds, as everywhere";
  EXPECT_EQ(row["values"].size(), 4U);
}

TEST_F(LabelsTest, TagsAreSetRemovedAndShown) {
  EXPECT_EQ(run({"tag", "wide"}).out, "wide (bbbbbbbbbb) has no tags.\n");
  EXPECT_EQ(run({"tag", "wide", "team=vision", "url=a=b"}).out,
            "TAG   VALUE\n"
            "team  vision\n"
            "url   a=b\n");
  EXPECT_EQ(run({"tag", "wide", "--remove", "team", "empty="}).out,
            "TAG    VALUE\n"
            "empty\n"
            "url    a=b\n");
  EXPECT_EQ(json::parse(run({"tag", "wide", "--json"}).out)["tags"],
            (json{{"empty", ""}, {"url", "a=b"}}));
  EXPECT_THAT(run({"status", "wide"}).out, HasSubstr("tags        empty=, url=a=b\n"));
  const Outcome no_value = run({"tag", "wide", "team"});
  EXPECT_EQ(no_value.code, 2);
  EXPECT_THAT(no_value.err, HasSubstr("`team` is no tag: expected KEY=VALUE"));
  EXPECT_EQ(run({"tag", "wide", "=x"}).code, 2);
  EXPECT_THAT(run({"tag", "wide", "a=1", "a=2"}).err, HasSubstr("the tag `a` is given twice"));
  EXPECT_EQ(run({"tag", "wide", "-r", "nothing"}).code, 1);
  EXPECT_EQ(run({"tag", "nothing", "a=1"}).err, "lctl: there is no job `nothing`\n");
}

TEST_F(LabelsTest, NoteIsShownWrittenReadAndRemoved) {
  EXPECT_EQ(run({"note", "wide"}).out, "wide (bbbbbbbbbb) has no note.\n");
  EXPECT_EQ(run({"note", "wide", "the best\x1b[2J so far"}).out, "Noted: wide (bbbbbbbbbb)\n");
  EXPECT_EQ(run({"note", "wide"}).out, "the best?[2J so far\n");
  input_ = "two\nlines\n";
  EXPECT_EQ(run({"note", "wide", "-"}).code, 0);
  EXPECT_EQ(run({"note", "wide"}).out, "two\nlines\n");
  EXPECT_THAT(run({"status", "wide"}).out, HasSubstr("note        two lines\n"));
  EXPECT_EQ(json::parse(run({"note", "wide", "--json"}).out)["note"], "two\nlines");
  EXPECT_EQ(run({"note", "wide", ""}).out, "wide (bbbbbbbbbb) has no note.\n");
  input_ = std::string(100'000, 'x');
  const Outcome large = run({"note", "wide", "-"});
  EXPECT_EQ(large.code, 2);
  EXPECT_THAT(large.err, HasSubstr("standard input has more than 65536 bytes"));
  EXPECT_EQ(run({"note", "nothing", "x"}).code, 1);
}

}  // namespace
}  // namespace lctl::cli
