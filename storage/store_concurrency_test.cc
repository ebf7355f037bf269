// Many threads at once: nodes that ingest, a jobs module that records, clients that read,
// checkpoints that are committed while garbage is collected.
#include <atomic>
#include <chrono>
#include <thread>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

constexpr int kNodes = 4;
constexpr std::int64_t kBatches = 25;
constexpr std::int64_t kPerBatch = 20;

class StoreConcurrencyTest : public StoreTest {};

TEST_F(StoreConcurrencyTest, EveryoneGetsTheirOwn) {
  std::vector<JobId> jobs;
  for (int i = 0; i < kNodes; ++i) {
    jobs.push_back(add_job(store(), std::string(10, static_cast<char>('a' + i))));
    start_attempt(store(), jobs.back(), 1);
  }
  std::atomic<int> working = 0;
  std::vector<std::thread> threads;
  const auto spawn = [&](auto body) {
    working += 1;
    threads.emplace_back([&working, body] {
      body();
      working -= 1;
    });
  };
  for (const JobId& job : jobs) {
    spawn([&] {
      for (std::int64_t i = 0; i < kBatches; ++i) {
        log_steps(store(), {job, 1}, i * kPerBatch, kPerBatch);
      }
    });
    spawn([&] {
      const StreamKey out{{job, 1}, 0, StreamKind::kStdout};
      for (std::uint64_t i = 0; i < 20; ++i) {
        EXPECT_TRUE(store().events().append_text(out, 5 * i, "line\n", 1).ok());
      }
    });
    spawn([&] {
      for (std::int64_t step = 1; step <= 6; ++step) {
        absl::Status uploaded;
        do {
          uploaded = upload(store(), {{job, 1}, step}).status();
          // The clock jumped an hour between its chunks and its commit, and the collector took
          // them: they are sent again, as nodes do.
        } while (absl::IsAborted(uploaded));
        EXPECT_EQ(text_of(uploaded), "OK");
        clock_.advance(std::chrono::minutes(30));
      }
    });
    spawn([&] {
      for (int i = 0; i < 10; ++i) {
        const JobChange change{.job = *store().jobs().get(job), .transition = v1::Transition()};
        EXPECT_TRUE(store().jobs().record({&change, 1}).ok());
      }
    });
  }
  // Readers and the collector go on until all others are done.
  std::thread reader([&] {
    while (working > 0) {
      for (const JobId& job : jobs) {
        // A read never sees a part of a batch.
        const auto points = store().metrics().read({.job = job, .key = "train/loss"});
        if (points.ok()) {
          EXPECT_EQ(points->size() % kPerBatch, 0u);
        }
        EXPECT_TRUE(store().jobs().list({}).ok());
      }
    }
  });
  std::thread collector([&] {
    while (working > 0) EXPECT_TRUE(store().checkpoints().collect_garbage().ok());
  });
  for (std::thread& thread : threads) thread.join();
  reader.join();
  collector.join();

  for (const JobId& job : jobs) {
    EXPECT_EQ(steps_of(store(), job).size(), static_cast<std::size_t>(kBatches * kPerBatch));
    EXPECT_EQ(store().jobs().transitions(job)->size(), 11u);
    const auto newest = store().checkpoints().newest(job);
    ASSERT_EQ(text_of(newest.status()), "OK");
    EXPECT_EQ(newest->written.global_step(), 6);
    EXPECT_EQ(text_of(download(store(), newest->id).status()), "OK");
  }
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

}  // namespace
}  // namespace lctl::storage
