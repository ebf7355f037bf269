#include "storage/logs/text_log.h"

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;

class TextLogTest : public StoreTest {
 protected:
  TextLogTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
  }

  StreamKey out(int rank, AttemptNumber attempt = 1) const {
    return {{job_, attempt}, rank, StreamKind::kStdout};
  }
  void append(const StreamKey& stream, std::string_view text) {
    const std::uint64_t from = *store().events().committed_offset(stream);
    ASSERT_EQ(text_of(store().events().append_text(stream, from, text, 5).status()), "OK");
  }
  static std::vector<std::string> texts(const EventStore::TextPage& page) {
    std::vector<std::string> all;
    for (const auto& chunk : page.chunks) all.push_back(chunk.text);
    return all;
  }

  JobId job_;
};

TEST_F(TextLogTest, ChunksComeInTheOrderOfArrivalAndKeepTheirBytes) {
  append(out(1), "b\n");
  append(out(0), std::string("a\0\xff\n", 4));
  append({{job_, 1}, 0, StreamKind::kStderr}, "oops\n");
  const auto page = *store().events().read_text({.job = job_});
  EXPECT_THAT(texts(page), ElementsAre("b\n", std::string("a\0\xff\n", 4), "oops\n"));
  EXPECT_EQ(page.chunks[0].stream, out(1));
  EXPECT_EQ(page.chunks[2].stream.kind, StreamKind::kStderr);
  EXPECT_EQ(page.chunks[1].time_us, 5);
}

TEST_F(TextLogTest, PagesGoOnWhereTheLastOneEnded) {
  for (int i = 0; i < 5; ++i) append(out(0), std::to_string(i));
  auto page = *store().events().read_text({.job = job_, .max_chunks = 2});
  EXPECT_THAT(texts(page), ElementsAre("0", "1"));
  page = *store().events().read_text({.job = job_, .after_id = page.last_id, .max_chunks = 9});
  EXPECT_THAT(texts(page), ElementsAre("2", "3", "4"));
  EXPECT_EQ(page.chunks[0].offset, 2u);
  const std::int64_t last = page.last_id;
  page = *store().events().read_text({.job = job_, .after_id = last});
  EXPECT_TRUE(page.chunks.empty());
  EXPECT_EQ(page.last_id, last);
  append(out(0), "5");
  EXPECT_THAT(texts(*store().events().read_text({.job = job_, .after_id = last})),
              ElementsAre("5"));
}

TEST_F(TextLogTest, RanksAndAttemptsCanBeSelected) {
  append(out(0), "first");
  append(out(1), "other rank");
  start_attempt(store(), job_, 2);
  append(out(0, 2), "second");
  EXPECT_THAT(texts(*store().events().read_text({.job = job_, .attempt = 2})),
              ElementsAre("second"));
  EXPECT_THAT(texts(*store().events().read_text({.job = job_, .rank = 0})),
              ElementsAre("first", "second"));
  EXPECT_THAT(texts(*store().events().read_text({.job = job_, .attempt = 1, .rank = 1})),
              ElementsAre("other rank"));
}

TEST_F(TextLogTest, OneLargeChunkStillMakesAPage) {
  const std::string large(3 << 20, 'x');
  append(out(0), large);
  append(out(0), large);
  append(out(0), large);
  const auto page = *store().events().read_text({.job = job_});
  EXPECT_EQ(page.chunks.size(), 2u) << "a page ends at 4 MiB";
}

TEST_F(TextLogTest, TailBeginsAtTheSameDistanceFromEachStreamsEnd) {
  append(out(0), "0123456789");
  append(out(1), "abc");
  append(out(0), "ABCDE");
  const auto tail = *store().events().find_tail({.job = job_}, 4);
  EXPECT_EQ(tail.begin.at(out(0)), 11u);
  EXPECT_EQ(tail.begin.at(out(1)), 0u);
  const auto page = *store().events().read_text({.job = job_, .after_id = tail.after_id});
  EXPECT_THAT(texts(page), ElementsAre("abc", "ABCDE"));
  EXPECT_EQ(store().events().find_tail({.job = job_}, 0)->begin.at(out(0)), 15u);
}

TEST_F(TextLogTest, BadQueriesAreRefused) {
  EXPECT_EQ(store().events().read_text({.job = job_, .max_chunks = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store().events().find_tail({.job = job_}, -1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store().events().read_text({.job = JobId("no")}).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lctl::storage
