// What tests of the store start from: an open store in a folder of its own, and short ways to fill
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/event_store.h"
#include "storage/metrics/metric_store.h"
#include "storage/store.h"
#include "storage/testing/manual_clock.h"
#include "storage/testing/temp_folder.h"

namespace lctl::storage {

// "OK", or the status in words, for EXPECT_EQ(text_of(…), "OK").
std::string text_of(const absl::Status& status);

v1::Job make_job(std::string_view id, std::string_view name);

// A job QUEUED with its first transition.
JobId add_job(Store& store, std::string_view id = "aaaaaaaaaa", std::string_view name = "digits");

// Makes `number` the job's current attempt (RUNNING), resumed from a checkpoint or ("") from the
// beginning, with one rank.
void start_attempt(Store& store, const JobId& job, AttemptNumber number,
                   const std::string& resumed_from = "");

// A record of one value; all records of tests are kRecordBytes long.
inline constexpr std::uint64_t kRecordBytes = 100;
SpooledEvent metric_record(std::uint64_t offset, std::int64_t step, double value,
                           std::string_view key = "train/loss");
SpooledEvent record(std::uint64_t offset, v1::Event event);

// `count` metric records from step `first`, each at offset step * kRecordBytes with value = step.
std::vector<SpooledEvent> metric_records(std::int64_t first, std::int64_t count);

// Applies metric_records(first, count) as the next batch of rank 0, expecting kOk.
void log_steps(Store& store, const AttemptId& attempt, std::int64_t first, std::int64_t count);

// The steps on the curve (or with all stored points) of a key.
std::vector<std::int64_t> steps_of(Store& store, const JobId& job,
                                   std::string_view key = "train/loss",
                                   bool include_superseded = false);

struct CheckpointOf {
  AttemptId attempt;
  std::int64_t step = 0;  // captured at spool offset step * kRecordBytes
  v1::CheckpointKind kind = v1::CHECKPOINT_KIND_RECOVERY;
  std::string name = {};     // "" = from kind and step
  std::string content = {};  // "" = made from the name; stored as chunks of 4 bytes
};
Manifest manifest_of(const CheckpointOf& checkpoint);

// Stores the chunks and commits the manifest.
absl::StatusOr<CheckpointId> upload(Store& store, const CheckpointOf& checkpoint);

// Chunk references of `content` cut into pieces of 4 bytes; put_chunks stores them.
std::vector<ChunkRef> chunks_of(std::string_view content);
void put_chunks(Store& store, std::string_view content);
std::string hex_sha256(std::string_view bytes);

// The whole file of a checkpoint, read piece by piece.
absl::StatusOr<std::string> download(Store& store, const CheckpointId& id,
                                     std::int64_t piece = 4 << 20);

// One store for all runs of a property: each has jobs of its own.
class PropertyStore {
 public:
  PropertyStore();
  Store& store() { return *store_; }

 private:
  TempFolder folder_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
};

class StoreTest : public testing::Test {
 protected:
  StoreTest() { open(); }

  void open(std::int64_t max_database_bytes = 0);
  void reopen() {
    store_.reset();
    open();
  }
  Store& store() { return *store_; }
  const std::filesystem::path& dir() const { return folder_.path(); }

  TempFolder folder_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
};

}  // namespace lctl::storage
