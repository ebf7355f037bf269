// A process that writes to the store is killed with SIGKILL in mid-work, again and again. Whatever
// it had acknowledged by then is there afterwards, once, and nothing else is damaged.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

constexpr int kKills = 20;

// Opens the store in a child process and runs `work` there until killed; `acknowledge` sends a
// number to the parent. Kills the child right after the `kill_after`-th acknowledgement; returns
// all that came.
std::vector<std::int64_t> run_and_kill(
    const std::filesystem::path& dir, std::size_t kill_after,
    const std::function<void(Store&, const std::function<void(std::int64_t)>&)>& work) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    auto opened = Store::open({.dir = dir, .clock = system_clock()});
    if (!opened.ok()) _exit(1);
    work(**opened, [&](std::int64_t number) {
      if (write(ends[1], &number, sizeof(number)) != sizeof(number)) _exit(2);
    });
    _exit(0);
  }
  close(ends[1]);
  std::vector<std::int64_t> acknowledged;
  std::int64_t number = 0;
  while (read(ends[0], &number, sizeof(number)) == sizeof(number)) {
    acknowledged.push_back(number);
    if (acknowledged.size() == kill_after) kill(child, SIGKILL);
  }
  close(ends[0]);
  int state = 0;
  EXPECT_EQ(waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFSIGNALED(state)) << "the child ended by itself with " << WEXITSTATUS(state);
  return acknowledged;
}

class StoreCrashTest : public StoreTest {
 protected:
  StoreCrashTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
    store_.reset();
  }

  std::mt19937 random_{20'260'101};
  JobId job_;
};

TEST_F(StoreCrashTest, AcknowledgedEventsAreThereOnceAfterEveryKill) {
  const StreamKey events{{job_, 1}, 0, StreamKind::kEvents};
  const StreamKey out{{job_, 1}, 0, StreamKind::kStdout};
  std::int64_t acknowledged = 0;  // steps; each has one record and one line
  for (int round = 0; round < kKills; ++round) {
    const auto acks =
        run_and_kill(dir(), 1 + random_() % 25, [&](Store& store, const auto& acknowledge) {
          // As an agent: goes on from what it knows to be acknowledged, in two threads.
          std::thread talker([&] {
            for (std::uint64_t offset = 0;; offset += 5) {
              if (!store.events().append_text(out, offset, "line\n", 1).ok()) _exit(3);
            }
          });
          for (std::int64_t step = acknowledged;; step += 7) {
            const auto from = static_cast<std::uint64_t>(step) * kRecordBytes;
            const auto applied = store.events().apply(events, from, from + 7 * kRecordBytes,
                                                      metric_records(step, 7));
            if (!applied.ok()) _exit(4);
            acknowledge(static_cast<std::int64_t>(applied->committed_offset / kRecordBytes));
          }
        });
    ASSERT_FALSE(acks.empty());
    acknowledged = acks.back();

    open();
    ASSERT_EQ(text_of(store().check_integrity()), "OK") << "round " << round;
    const auto committed =
        static_cast<std::int64_t>(*store().events().committed_offset(events) / kRecordBytes);
    ASSERT_GE(committed, acknowledged);
    std::vector<std::int64_t> expected(static_cast<std::size_t>(committed));
    std::iota(expected.begin(), expected.end(), 0);
    ASSERT_EQ(steps_of(store(), job_), expected);
    const std::uint64_t lines = *store().events().committed_offset(out);
    std::uint64_t stored = 0;
    EventStore::TextPage page;
    do {
      page =
          *store().events().read_text({.job = job_, .after_id = page.last_id, .max_chunks = 4'096});
      for (const auto& chunk : page.chunks) {
        ASSERT_EQ(chunk.offset, stored);
        stored += chunk.text.size();
      }
    } while (!page.chunks.empty());
    ASSERT_EQ(stored, lines);
    store_.reset();
  }
}

TEST_F(StoreCrashTest, CheckpointIsWholeOrNotThereAfterEveryKill) {
  std::int64_t next = 1;
  for (int round = 0; round < kKills; ++round) {
    // Acknowledges each chunk with 0 and each commit with its step, so kills fall between chunks
    // too.
    const auto acks =
        run_and_kill(dir(), 1 + random_() % 12, [&](Store& store, const auto& acknowledge) {
          for (std::int64_t step = next;; ++step) {
            const CheckpointOf checkpoint{
                {job_, 1}, step, v1::CHECKPOINT_KIND_MODEL, {}, "state of " + std::to_string(step)};
            for (std::size_t i = 0; i < checkpoint.content.size(); i += 4) {
              put_chunks(store, std::string_view(checkpoint.content).substr(i, 4));
              acknowledge(0);
            }
            if (!store.checkpoints().commit(manifest_of(checkpoint)).ok()) _exit(3);
            acknowledge(step);
          }
        });
    open();
    ASSERT_EQ(text_of(store().check_integrity()), "OK") << "round " << round;
    const auto rows = store().checkpoints().list(job_);
    std::int64_t listed = 0;
    for (const CheckpointRow& row : *rows) {
      ASSERT_EQ(row.written.global_step(), ++listed);
      ASSERT_EQ(*download(store(), row.id), "state of " + std::to_string(listed));
    }
    for (const std::int64_t step : acks) ASSERT_LE(step, listed) << "acknowledged and lost";
    next = listed + 1;
    store_.reset();
  }
}

}  // namespace
}  // namespace lctl::storage
