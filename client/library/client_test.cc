#include "client/library/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/status.h"
#include "client/testing/fake_server.h"

namespace lctl::client {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

ClientOptions quick() {
  return {.first_patience = milliseconds(150),
          .patience = std::chrono::seconds(5),
          .backoff_first = milliseconds(5),
          .backoff_limit = milliseconds(20)};
}

Client connect(const std::string& address) {
  auto client = Client::connect(address, quick());
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

v1::Job make_job(const std::string& id, v1::JobState state) {
  v1::Job job;
  job.set_id(id);
  job.mutable_spec()->set_name("name-" + id);
  job.set_state(state);
  return job;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(ClientTest, AddressesThatCannotBeOneAreRefused) {
  for (const char* bad : {"", "localhost", ":7070", "host:", "host:0", "host:65536", "host:70x",
                          "http://host:7070", "host:-1"}) {
    const auto client = Client::connect(bad);
    ASSERT_FALSE(client.ok()) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(client.status()));
    EXPECT_THAT(std::string(message_of(client.status())), HasSubstr("expected HOST:PORT"));
  }
  EXPECT_TRUE(Client::connect("localhost:1").ok());
  EXPECT_TRUE(Client::connect("[::1]:7070").ok());
}

TEST(ClientTest, UnreachableServerSaysWhatToDo) {
  std::string address;
  {
    FakeServer server;
    address = server.address();
  }
  Client client = connect(address);
  const auto jobs = client.list();
  ASSERT_TRUE(absl::IsUnavailable(jobs.status())) << jobs.status();
  EXPECT_EQ(message_of(jobs.status()),
            "cannot reach lctl-server at " + address +
                ": connection refused; start one with `lctl up` or set --server / LCTL_SERVER");
  const auto watched = client.watch("x", {});
  EXPECT_TRUE(absl::IsUnavailable(watched.status())) << watched.status();
}

TEST(ClientTest, AnswersOfTheServerKeepTheirCodeAndText) {
  FakeServer server;
  Client client = connect(server.address());
  const auto missing = client.get("nothing");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_EQ(message_of(missing.status()), "there is no job `nothing`");
  EXPECT_TRUE(absl::IsNotFound(client.watch("nothing", {}).status()));
  EXPECT_TRUE(absl::IsNotFound(client.logs({.job = "nothing"}, {})));
}

TEST(ClientTest, RepeatedSubmissionWithOneKeyIsOneJob) {
  FakeServer server;
  Client client = connect(server.address());
  v1::JobSpec spec;
  spec.set_name("digits");
  const auto first = client.submit(spec, "me@here", "key");
  const auto again = client.submit(spec, "me@here", "key");
  const auto other = client.submit(spec, "me@here");
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  EXPECT_EQ(first->id(), again->id());
  EXPECT_NE(first->id(), other->id());
  EXPECT_EQ(server.submissions().back().idempotency_key().size(), 26u);
  EXPECT_EQ(first->submitted_by(), "me@here");
}

TEST(ClientTest, ListFiltersAndNewestComesFirst) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
  server.put_job(make_job("bbbb", v1::JOB_STATE_RUNNING));
  server.put_job(make_job("cccc", v1::JOB_STATE_RUNNING));
  Client client = connect(server.address());
  const auto ids = [](const std::vector<v1::Job>& jobs) {
    std::vector<std::string> ids;
    for (const auto& job : jobs) ids.push_back(job.id());
    return ids;
  };
  EXPECT_THAT(ids(*client.list()), ElementsAre("cccc", "bbbb", "aaaa"));
  EXPECT_THAT(ids(*client.list({.states = {v1::JOB_STATE_SUCCEEDED}})), ElementsAre("aaaa"));
  EXPECT_THAT(ids(*client.list({.limit = 1})), ElementsAre("cccc"));
}

TEST(ClientTest, ListGathersThePagesOfTheServer) {
  FakeServer server;
  for (const char* id : {"aaaa", "bbbb", "cccc", "dddd", "eeee"}) {
    server.put_job(make_job(id, v1::JOB_STATE_RUNNING));
  }
  server.set_page_jobs(2);
  Client client = connect(server.address());
  const auto ids = [&](const JobFilter& filter) {
    std::vector<std::string> ids;
    const auto jobs = client.list(filter);
    for (const auto& job : *jobs) ids.push_back(job.id());
    return ids;
  };
  EXPECT_THAT(ids({}), ElementsAre("eeee", "dddd", "cccc", "bbbb", "aaaa"));
  EXPECT_EQ(server.calls("List"), 3);
  EXPECT_THAT(ids({.limit = 3}), ElementsAre("eeee", "dddd", "cccc"));
}

TEST(ClientTest, ValuesComeWithTheJobsOfAllPages) {
  FakeServer server;
  for (const char* id : {"aaaa", "bbbb", "cccc"}) {
    server.put_job(make_job(id, v1::JOB_STATE_RUNNING));
  }
  server.set_page_jobs(2);
  v1::JobValues values;
  values.add_values()->set_number(0.5);
  Client client = connect(server.address());
  const auto none = client.list_with_values({.show = {"-val/acc", "params.lr"}});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->values.size(), 3U) << "an older server";
  EXPECT_TRUE(none->shown.empty());
  EXPECT_THAT(server.lists().back().show(), ElementsAre("-val/acc", "params.lr"));

  server.set_values({"metrics.`val/acc`"}, {{"aaaa", values}});
  const auto listing = client.list_with_values({.show = {"val/acc"}});
  ASSERT_TRUE(listing.ok()) << listing.status();
  EXPECT_THAT(listing->shown, ElementsAre("metrics.`val/acc`"));
  ASSERT_EQ(listing->values.size(), 3U);
  EXPECT_EQ(listing->values[0].values_size(), 0) << "cccc";
  ASSERT_EQ(listing->values[2].values_size(), 1) << "aaaa";
  EXPECT_EQ(listing->values[2].values(0).number(), 0.5);
}

TEST(ClientTest, OnlyTheNewestBestCheckpointOfAMetricIsBest) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
  const auto put = [&](const std::string& id, const std::string& monitor, bool best) {
    v1::Checkpoint checkpoint;
    checkpoint.set_id(id);
    checkpoint.set_job_id("aaaa");
    checkpoint.mutable_written()->set_monitor(monitor);
    checkpoint.mutable_written()->set_is_best(best);
    server.put_checkpoint(checkpoint, id);
  };
  put("one", "val/loss", true);
  put("two", "val/acc", true);
  put("three", "val/loss", true);
  put("four", "val/loss", false);
  Client client = connect(server.address());
  const auto checkpoints = client.checkpoints("@last");
  ASSERT_TRUE(checkpoints.ok()) << checkpoints.status();
  std::vector<std::string> best;
  for (const auto& checkpoint : *checkpoints) {
    if (checkpoint.written().is_best()) best.push_back(checkpoint.id());
  }
  EXPECT_THAT(best, ElementsAre("two", "three"));
}

TEST(ClientTest, CallIsRepeatedWhileTheServerRestarts) {
  FakeServer server;
  Client client = connect(server.address());
  ASSERT_TRUE(client.list().ok());
  server.shut_down();
  std::thread restart([&] {
    std::this_thread::sleep_for(milliseconds(50));  // the outage itself, not a wait for a result
    server.start_again();
  });
  EXPECT_TRUE(client.list().ok());
  restart.join();
}

TEST(ClientTest, WatchEndsWithTheFinalState) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_QUEUED));
  Client client = connect(server.address());
  std::vector<v1::JobState> seen;
  const auto end = client.watch("@last", {.changed = [&](const v1::Job& job) {
                                  seen.push_back(job.state());
                                  if (seen.size() == 1) {
                                    server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
                                  }
                                  if (seen.size() == 2) {
                                    server.put_job(make_job("aaaa", v1::JOB_STATE_FAILED));
                                  }
                                }});
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(seen, ElementsAre(v1::JOB_STATE_QUEUED, v1::JOB_STATE_RUNNING, v1::JOB_STATE_FAILED));
}

TEST(ClientTest, WatchSurvivesARestartAndStaysWithItsJob) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
  Client client = connect(server.address());
  std::thread outage;
  std::atomic<int> lost = 0;
  std::atomic<int> back = 0;
  const auto end = client.watch(
      "@last", {.changed =
                    [&](const v1::Job&) {
                      if (outage.joinable()) return;
                      outage = std::thread([&] {
                        server.shut_down();
                        server.put_job(make_job("zzzz", v1::JOB_STATE_RUNNING));  // now @last
                        server.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
                        server.start_again();
                      });
                    },
                .lost = [&](std::string_view) { ++lost; },
                .reconnected = [&] { ++back; }});
  outage.join();
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->id(), "aaaa");
  EXPECT_EQ(end->state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(lost, 1);
  EXPECT_EQ(back, 1);
}

TEST(ClientTest, WatchGoesOnSoonAfterALongOutage) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
  Client client = *Client::connect(server.address());  // with the waits of real life
  std::thread outage;
  MonotonicTime back;
  MonotonicTime reconnected;
  const auto end =
      client.watch("aaaa", {.changed =
                                [&](const v1::Job&) {
                                  if (outage.joinable()) return;
                                  outage = std::thread([&] {
                                    server.shut_down();
                                    std::this_thread::sleep_for(
                                        milliseconds(3500));  // the outage: its waits have grown
                                    server.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
                                    back = system_clock().monotonic_now();
                                    server.start_again();
                                  });
                                },
                            .reconnected = [&] { reconnected = system_clock().monotonic_now(); }});
  outage.join();
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_LT(reconnected - back, milliseconds(1500));
}

TEST(ClientTest, QuietWatchIsRenewedWithoutANotice) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
  ClientOptions options = quick();
  options.stream_renewal = milliseconds(50);
  Client client = *Client::connect(server.address(), options);
  int lost = 0;
  const auto end =
      client.watch("aaaa", {.changed =
                                [&](const v1::Job&) {
                                  if (server.calls("Watch") == 3) {
                                    server.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
                                  }
                                },
                            .lost = [&](std::string_view) { ++lost; }});
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_GE(server.calls("Watch"), 3);
  EXPECT_EQ(lost, 0);
}

TEST(ClientTest, StopTokenEndsAWatchAtOnce) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
  Client client = connect(server.address());
  std::stop_source stop;
  const auto end = client.watch("aaaa", {.changed = [&](const v1::Job&) { stop.request_stop(); }},
                                stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(end.status()));
}

TEST(ClientTest, FollowedLogsDeliverEachByteOnceAcrossARestart) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_RUNNING));
  server.put_log("aaaa", 1, 0, "one\n");
  Client client = connect(server.address());
  std::string text;
  std::thread outage;
  const absl::Status status =
      client.logs({.job = "aaaa", .follow = true}, [&](const v1::LogChunk& chunk) {
        EXPECT_EQ(chunk.offset(), text.size());
        text += chunk.text();
        if (outage.joinable()) return true;
        outage = std::thread([&] {
          server.shut_down();
          server.put_log("aaaa", 1, 0, "two\n");
          server.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
          server.start_again();
        });
        return true;
      });
  outage.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(text, "one\ntwo\n");
}

TEST(ClientTest, LogsOfOneRankWithATail) {
  FakeServer server;
  server.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
  server.put_log("aaaa", 1, 0, "rank zero");
  server.put_log("aaaa", 1, 1, "rank one");
  Client client = connect(server.address());
  std::string text;
  ASSERT_TRUE(client
                  .logs({.job = "aaaa", .rank = 1, .tail_bytes = 3},
                        [&](const v1::LogChunk& chunk) {
                          text += chunk.text();
                          return true;
                        })
                  .ok());
  EXPECT_EQ(text, "one");
}

class DownloadTest : public testing::Test {
 protected:
  DownloadTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("lctl-download-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    for (int i = 0; i < 25'000; ++i) content_ += static_cast<char>(i * 7);
    server_.put_job(make_job("aaaa", v1::JOB_STATE_SUCCEEDED));
    v1::Checkpoint checkpoint;
    checkpoint.set_id("ckpt");
    checkpoint.set_job_id("aaaa");
    server_.put_checkpoint(checkpoint, content_);
  }
  ~DownloadTest() override { std::filesystem::remove_all(folder_); }

  FakeServer server_;
  std::filesystem::path folder_;
  std::string content_;
};

TEST_F(DownloadTest, FileIsWholeAndProgressIsTold) {
  Client client = connect(server_.address());
  std::int64_t told = 0;
  const std::string path = folder_ / "a.ckpt";
  const absl::Status status =
      client.download("ckpt", path, [&](std::int64_t done, std::int64_t all) {
        told = done;
        EXPECT_EQ(all, 25'000);
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(told, 25'000);
  EXPECT_EQ(read_file(path), content_);
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST_F(DownloadTest, BrokenStreamGoesOnWhereItStopped) {
  server_.break_downloads_after(4'000);
  Client client = connect(server_.address());
  const std::string path = folder_ / "a.ckpt";
  ASSERT_TRUE(client.download("ckpt", path).ok());
  EXPECT_EQ(read_file(path), content_);
  EXPECT_EQ(server_.calls("Download"), 7);  // 25,000 bytes, 4,000 a stream
}

TEST_F(DownloadTest, PartOfAnotherFileIsDropped) {
  Client client = connect(server_.address());
  const std::string path = folder_ / "a.ckpt";
  std::ofstream(path + ".part") << "something else";
  ASSERT_TRUE(client.download("ckpt", path).ok());
  EXPECT_EQ(read_file(path), content_);
  std::ofstream(path + ".part") << std::string(100'000, 'x');
  ASSERT_TRUE(client.download("ckpt", path).ok());
  EXPECT_EQ(read_file(path), content_);
}

TEST_F(DownloadTest, WrongChecksumLeavesNoFile) {
  server_.corrupt_downloads();
  Client client = connect(server_.address());
  const std::string path = folder_ / "a.ckpt";
  const absl::Status status = client.download("ckpt", path);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(DownloadTest, UnknownCheckpointAndUnwritablePathSayWhichOne) {
  Client client = connect(server_.address());
  EXPECT_TRUE(absl::IsNotFound(client.download("none", folder_ / "a.ckpt")));
  const absl::Status status = client.download("ckpt", folder_ / "no" / "such" / "a.ckpt");
  EXPECT_THAT(std::string(message_of(status)), HasSubstr("no/such/a.ckpt.part"));
}

}  // namespace
}  // namespace lctl::client
