#include "storage/blobs/checkpoint_store.h"

#include <chrono>
#include <fstream>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kContent[] = "0123456789abcdef-0123456789";  // chunks of 4: "0123" comes once only

class CheckpointStoreTest : public StoreTest {
 protected:
  CheckpointStoreTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
  }

  CheckpointStore& checkpoints() { return store().checkpoints(); }
  Manifest manifest(std::string content = kContent) const {
    return manifest_of({.attempt = {job_, 1}, .step = 5, .name = "a.ckpt", .content = content});
  }
  std::filesystem::path file_of(std::string_view chunk) const {
    const std::string hex = hex_sha256(chunk);
    return dir() / "blobs" / hex.substr(0, 2) / hex.substr(2);
  }

  JobId job_;
};

TEST_F(CheckpointStoreTest, CommittedCheckpointComesBackWhole) {
  put_chunks(store(), kContent);
  const absl::StatusOr<CheckpointId> id = checkpoints().commit(manifest());
  ASSERT_EQ(text_of(id.status()), "OK");
  EXPECT_THAT(id->str(), SizeIs(12));
  reopen();
  for (const std::int64_t piece : {1, 3, 4, 7, 100}) {
    EXPECT_EQ(*download(store(), *id, piece), kContent) << piece;
  }
  const CheckpointRow row = *checkpoints().get(*id);
  EXPECT_EQ(row.attempt, (AttemptId{job_, 1}));
  EXPECT_EQ(row.written.name(), "a.ckpt");
  EXPECT_EQ(row.sha256, hex_sha256(kContent));
  EXPECT_EQ(row.stored_bytes, 27);
  EXPECT_EQ(row.time_us, 5);
}

TEST_F(CheckpointStoreTest, ReadFromTheMiddleAndBeyondTheEnd) {
  put_chunks(store(), kContent);
  const CheckpointId id = *checkpoints().commit(manifest());
  EXPECT_EQ(*checkpoints().read(id, 10, 2), "ab");
  EXPECT_EQ(*checkpoints().read(id, 26, 100), "9");
  EXPECT_EQ(*checkpoints().read(id, 27, 100), "");
  EXPECT_EQ(*checkpoints().read(id, 1'000'000, 100), "");
  EXPECT_EQ(checkpoints().read(id, -1, 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(checkpoints().read(CheckpointId("no"), 0, 1).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(CheckpointStoreTest, ChunkThatIsNotWhatItSaysIsRefused) {
  const auto code = [&](std::string_view hash, std::string_view bytes) {
    return checkpoints().put(hash, bytes).status().code();
  };
  EXPECT_EQ(code(hex_sha256("abc"), "abd"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("../../etc/passwd", "abc"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(hex_sha256(""), ""), absl::StatusCode::kInvalidArgument);
  const std::string huge(kMaxChunkBytes + 1, 'x');
  EXPECT_EQ(code(hex_sha256(huge), huge), absl::StatusCode::kInvalidArgument);

  const std::vector<std::string> hashes = {hex_sha256("good"), hex_sha256("abc")};
  const Chunk group[] = {{hashes[0], "good"}, {hashes[1], "abd"}};
  EXPECT_EQ(checkpoints().put_all(group).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*checkpoints().missing(hashes), hashes) << "nothing of its group was stored";
}

TEST_F(CheckpointStoreTest, MissingListsEachAbsentHashOnceInOrder) {
  put_chunks(store(), "here");
  const std::vector<std::string> asked = {hex_sha256("b"), hex_sha256("here"), hex_sha256("a"),
                                          hex_sha256("b")};
  EXPECT_THAT(*checkpoints().missing(asked), ElementsAre(hex_sha256("b"), hex_sha256("a")));
  const std::vector<std::string> bad = {"zz"};
  EXPECT_EQ(checkpoints().missing(bad).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckpointStoreTest, NothingIsVisibleBeforeItsCommit) {
  put_chunks(store(), kContent);
  EXPECT_THAT(*checkpoints().list(job_), IsEmpty());
  EXPECT_EQ(checkpoints().newest(job_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CheckpointStoreTest, CommitWithAMissingChunkIsRefused) {
  put_chunks(store(), std::string_view(kContent).substr(4));
  const absl::Status status = checkpoints().commit(manifest()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(text_of(status), HasSubstr("lacks chunk " + hex_sha256("0123")));
  EXPECT_THAT(*checkpoints().list(job_), IsEmpty());
}

TEST_F(CheckpointStoreTest, CommitChecksSizesAndTheWholeFilesHash) {
  put_chunks(store(), kContent);
  const auto code = [&](auto&& spoil) {
    Manifest spoiled = manifest();
    spoil(spoiled);
    return checkpoints().commit(spoiled).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](Manifest& m) { m.sha256 = hex_sha256("other"); }), invalid);
  EXPECT_EQ(code([](Manifest& m) { m.sha256 = "short"; }), invalid);
  EXPECT_EQ(code([](Manifest& m) { std::swap(m.chunks[0], m.chunks[1]); }), invalid);
  EXPECT_EQ(code([](Manifest& m) { m.written.set_size(26); }), invalid);
  EXPECT_EQ(code([](Manifest& m) { m.chunks.clear(); }), invalid);
  EXPECT_EQ(code([](Manifest& m) { m.written.set_file("a/b"); }), invalid);
  EXPECT_EQ(code([](Manifest& m) { m.written.set_file(""); }), invalid);
  EXPECT_EQ(code([](Manifest& m) {
              m.chunks[0].size += 1;
              m.written.set_size(28);
            }),
            invalid);
  EXPECT_THAT(*checkpoints().list(job_), IsEmpty());
}

TEST_F(CheckpointStoreTest, ReplacedAttemptCannotCommit) {
  put_chunks(store(), kContent);
  start_attempt(store(), job_, 2);
  const absl::Status status = checkpoints().commit(manifest()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(status), HasSubstr("was replaced"));
}

TEST_F(CheckpointStoreTest, RepeatedCommitReturnsTheSameIdEvenAfterTheAttemptWasReplaced) {
  put_chunks(store(), kContent);
  const CheckpointId id = *checkpoints().commit(manifest());
  EXPECT_EQ(*checkpoints().commit(manifest()), id);
  start_attempt(store(), job_, 2, id.str());
  EXPECT_EQ(*checkpoints().commit(manifest()), id);
  EXPECT_THAT(*checkpoints().list(job_), SizeIs(1));
}

TEST_F(CheckpointStoreTest, SharedChunksAreStoredAndCountedOnce) {
  put_chunks(store(), "frozfrozheadAAAA");
  const CheckpointId first = *checkpoints().commit(
      manifest_of({.attempt = {job_, 1}, .step = 1, .content = "frozfrozheadAAAA"}));
  EXPECT_FALSE(*checkpoints().put(hex_sha256("froz"), "froz"));
  const CheckpointId second =
      *upload(store(), {.attempt = {job_, 1}, .step = 2, .content = "frozfrozheadBBBB"});
  EXPECT_EQ(checkpoints().get(first)->stored_bytes, 12) << "froz, head, AAAA";
  EXPECT_EQ(checkpoints().get(second)->stored_bytes, 4) << "BBBB";
}

TEST_F(CheckpointStoreTest, DamagedChunkIsReportedWithFileAndCheckpoint) {
  put_chunks(store(), kContent);
  const CheckpointId id = *checkpoints().commit(manifest());
  std::ofstream(file_of("4567"), std::ios::trunc) << "4x67";
  EXPECT_EQ(*checkpoints().read(id, 0, 4), "0123") << "the others can be read";
  const absl::Status status = checkpoints().read(id, 4, 4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(text_of(status), HasSubstr(id.str()));
  EXPECT_THAT(text_of(status), HasSubstr("a.ckpt"));
  EXPECT_THAT(text_of(status), HasSubstr(file_of("4567").string()));
}

TEST_F(CheckpointStoreTest, DamagedChunkIsHealedByTheNextUploadThatHasIt) {
  for (const char* damage : {"4x67", "45"}) {
    put_chunks(store(), kContent);
    std::ofstream(file_of("4567"), std::ios::trunc) << damage;
    const absl::Status status = checkpoints().commit(manifest()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
    const std::vector<std::string> asked = {hex_sha256("4567"), hex_sha256("0123")};
    EXPECT_THAT(*checkpoints().missing(asked), ElementsAre(hex_sha256("4567")));
  }
  put_chunks(store(), kContent);
  const absl::StatusOr<CheckpointId> id = checkpoints().commit(manifest());
  ASSERT_EQ(text_of(id.status()), "OK");
  EXPECT_EQ(*download(store(), *id), kContent);
}

TEST_F(CheckpointStoreTest, IntegrityCheckFindsALostChunk) {
  put_chunks(store(), kContent);
  ASSERT_TRUE(checkpoints().commit(manifest()).ok());
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
  std::filesystem::remove(file_of("4567"));
  EXPECT_EQ(store().check_integrity().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CheckpointStoreTest, GarbageCollectionTakesOldChunksWithoutManifest) {
  ASSERT_TRUE(upload(store(), {.attempt = {job_, 1}, .step = 1, .content = "keepmeee"}).ok());
  put_chunks(store(), "orphan!!");
  EXPECT_EQ(checkpoints().collect_garbage()->bytes, 0) << "an upload may be on its way";
  clock_.advance(std::chrono::minutes(59));
  put_chunks(store(), "late");
  EXPECT_EQ(checkpoints().collect_garbage()->bytes, 0);
  clock_.advance(std::chrono::minutes(2));
  EXPECT_EQ(checkpoints().collect_garbage()->bytes, 8);
  EXPECT_FALSE(std::filesystem::exists(file_of("orph")));
  EXPECT_TRUE(std::filesystem::exists(file_of("keep")));
  EXPECT_TRUE(std::filesystem::exists(file_of("late")));
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

TEST_F(CheckpointStoreTest, ChunkThatAnUploadWasToldToSkipSurvivesGarbageCollection) {
  put_chunks(store(), "old!");
  clock_.advance(std::chrono::hours(5));
  const std::vector<std::string> asked = {hex_sha256("old!")};
  EXPECT_THAT(*checkpoints().missing(asked), IsEmpty());
  EXPECT_EQ(checkpoints().collect_garbage()->bytes, 0);
}

TEST_F(CheckpointStoreTest, ListIsInTheOrderOfCapture) {
  for (const std::int64_t step : {3, 1, 2}) {
    ASSERT_TRUE(upload(store(), {{job_, 1}, step, v1::CHECKPOINT_KIND_MODEL}).ok());
  }
  std::vector<std::int64_t> steps;
  const auto rows = checkpoints().list(job_);
  for (const CheckpointRow& row : *rows) steps.push_back(row.written.global_step());
  EXPECT_THAT(steps, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace lctl::storage
