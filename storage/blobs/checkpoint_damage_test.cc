// Checkpoints whose bytes rot in the store, or that were torn before they came.
#include <fstream>

#include "storage/blobs/checkpoint_store.h"
#include "storage/maintenance/maintenance.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kModel = v1::CHECKPOINT_KIND_MODEL;
constexpr auto kRecovery = v1::CHECKPOINT_KIND_RECOVERY;

class CheckpointDamageTest : public StoreTest {
 protected:
  CheckpointDamageTest() { begin({}); }

  void begin(const v1::Retention& retention) {
    v1::Job job = make_job(random_id(10), "x");
    *job.mutable_spec()->mutable_retention() = retention;
    job_ = *store().jobs().create({.job = job}, "");
    start_attempt(store(), job_, 1);
  }
  CheckpointStore& checkpoints() { return store().checkpoints(); }

  // Chunks of 4 bytes: "base" is shared by all.
  CheckpointId add(std::int64_t step, std::string own, v1::CheckpointKind kind = kRecovery,
                   std::string name = "") {
    const auto id = upload(store(), {.attempt = {job_, 1},
                                     .step = step,
                                     .kind = kind,
                                     .name = std::move(name),
                                     .content = "base" + std::move(own)});
    EXPECT_EQ(text_of(id.status()), "OK");
    return id.value_or(CheckpointId(""));
  }
  std::filesystem::path file_of(std::string_view chunk) const {
    const std::string hex = hex_sha256(chunk);
    return dir() / "blobs" / hex.substr(0, 2) / hex.substr(2);
  }
  void flip(std::string_view chunk) {
    std::string bytes(chunk);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::ofstream(file_of(chunk)) << bytes;
  }
  std::string damage_of(const CheckpointId& id) { return checkpoints().get(id)->damage; }
  std::int64_t newest(const Eligible& eligible = {}) {
    const auto row = checkpoints().newest(job_, eligible);
    return row.ok() ? row->written.global_step() : -1;
  }
  std::vector<std::int64_t> listed() {
    std::vector<std::int64_t> steps;
    const auto rows = checkpoints().list(job_);
    for (const CheckpointRow& row : *rows) steps.push_back(row.written.global_step());
    return steps;
  }

  JobId job_;
};

TEST_F(CheckpointDamageTest, FoundDamagedItIsNoRecoveryPointAndSaysWhichChunk) {
  const CheckpointId older = add(1, "aaaa");
  const CheckpointId newer = add(2, "bbbb");
  EXPECT_EQ(*checkpoints().verify(newer), "");
  EXPECT_EQ(newest(), 2);

  flip("bbbb");
  EXPECT_THAT(
      *checkpoints().verify(newer),
      testing::AllOf(HasSubstr(file_of("bbbb").string()), HasSubstr("does not match its SHA-256")));
  EXPECT_EQ(newest(), 1);
  EXPECT_EQ(damage_of(older), "");
  reopen();
  EXPECT_EQ(newest(), 1) << "the mark is durable";
  EXPECT_THAT(damage_of(newer), HasSubstr("does not match its SHA-256"));
  EXPECT_THAT(*checkpoints().verify(newer), HasSubstr("does not match")) << "the first words stand";
}

TEST_F(CheckpointDamageTest, AllThatShareTheChunkAreMarked) {
  const CheckpointId older = add(1, "aaaa");
  const CheckpointId newer = add(2, "bbbb");
  std::filesystem::remove(file_of("base"));
  EXPECT_THAT(*checkpoints().verify(newer), HasSubstr("is missing"));
  EXPECT_THAT(damage_of(older), HasSubstr("is missing"));
  EXPECT_EQ(newest(), -1);
}

TEST_F(CheckpointDamageTest, NextUploadOfTheSameBytesMendsTheStore) {
  const CheckpointId id = add(1, "aaaa");
  flip("base");
  ASSERT_NE(*checkpoints().verify(id), "");
  const std::vector<std::string> asked = {hex_sha256("base"), hex_sha256("aaaa")};
  EXPECT_THAT(*checkpoints().missing(asked), ElementsAre(hex_sha256("base")));
  const CheckpointId next = add(2, "bbbb");
  EXPECT_EQ(*download(store(), next), "basebbbb");
  EXPECT_NE(damage_of(id), "") << "until somebody looks";
  EXPECT_EQ(*checkpoints().verify(id), "");
  EXPECT_EQ(damage_of(id), "");
}

TEST_F(CheckpointDamageTest, OneThatTheTrainerCannotReadStaysMarked) {
  add(1, "aaaa");
  const CheckpointId torn = add(2, "bbbb");
  ASSERT_TRUE(checkpoints().mark_unreadable(torn, "the trainer cannot read it: torn").ok());
  EXPECT_EQ(newest(), 1);
  EXPECT_EQ(*checkpoints().verify(torn), "the trainer cannot read it: torn");
  ASSERT_TRUE(checkpoints().mark_unreadable(torn, "other words").ok());
  EXPECT_EQ(damage_of(torn), "the trainer cannot read it: torn");
}

TEST_F(CheckpointDamageTest, DamagedOnesCountForNothingInKeepLast) {
  v1::Retention retention;
  retention.set_keep_last(2);
  begin(retention);
  add(1, "aaaa");
  add(2, "bbbb");
  flip("bbbb");
  ASSERT_NE(*checkpoints().verify(checkpoints().list(job_)->back().id), "");
  add(3, "cccc");
  EXPECT_THAT(listed(), ElementsAre(1, 2, 3)) << "1 and 3 are the two newest that are sound";
  add(4, "dddd");
  EXPECT_THAT(listed(), ElementsAre(3, 4))
      << "replaced by two sound ones, the damaged one goes too";
}

TEST_F(CheckpointDamageTest, DamagedMilestoneLeavesTheNextOneInItsPlace) {
  v1::Retention retention;
  retention.set_keep_last(1);
  retention.set_keep_every(10);
  begin(retention);
  const CheckpointId first = add(10, "aaaa");
  flip("aaaa");
  ASSERT_NE(*checkpoints().verify(first), "");
  add(11, "bbbb");
  add(12, "cccc");
  EXPECT_THAT(listed(), ElementsAre(11, 12));
}

TEST_F(CheckpointDamageTest, DamagedLastAndBestOutdateNobody) {
  add(1, "aaaa", kModel, "last.ckpt");
  add(2, "bbbb", kModel, "best.ckpt");
  const CheckpointId last = add(3, "cccc", kModel, "last.ckpt");
  EXPECT_THAT(listed(), ElementsAre(2, 3));
  flip("cccc");
  ASSERT_NE(*checkpoints().verify(last), "");
  add(4, "dddd", kModel, "other.ckpt");
  EXPECT_THAT(listed(), ElementsAre(2, 3, 4));
  EXPECT_EQ(newest(), 4);
  const CheckpointId again = add(5, "eeee", kModel, "last.ckpt");
  EXPECT_THAT(listed(), ElementsAre(2, 4, 5));
  flip("eeee");
  ASSERT_NE(*checkpoints().verify(again), "");
  EXPECT_EQ(newest(), 4);
}

TEST_F(CheckpointDamageTest, NewestGoesRoundWhatIsNotEligible) {
  add(1, "aaaa");
  const CheckpointId second = add(2, "bbbb");
  EXPECT_EQ(newest({.except = {second.str()}}), 1);
  EXPECT_EQ(newest({.before_step = 2}), 1);
  EXPECT_EQ(newest({.before_step = 3}), 2);
  EXPECT_EQ(newest({.before_step = 1}), -1);
}

TEST_F(CheckpointDamageTest, DeepCheckFindsAndMarksTheSame) {
  add(1, "aaaa");
  const CheckpointId newer = add(2, "bbbb");
  flip("bbbb");
  const auto go_on = [](const WorkProgress&) { return true; };
  EXPECT_THAT(store().maintenance().check(/*deep=*/false, go_on)->findings, IsEmpty());
  EXPECT_EQ(damage_of(newer), "") << "only --deep reads";
  const auto report = store().maintenance().check(/*deep=*/true, go_on);
  ASSERT_EQ(text_of(report.status()), "OK");
  EXPECT_THAT(report->findings, ElementsAre(HasSubstr("does not match its SHA-256")));
  EXPECT_EQ(report->damaged_files, 1);
  EXPECT_EQ(newest(), 1);

  put_chunks(store(), "bbbb");
  EXPECT_THAT(store().maintenance().check(/*deep=*/true, go_on)->findings, IsEmpty());
  EXPECT_EQ(newest(), 2) << "mended";
}

TEST_F(CheckpointDamageTest, WhatIsNotKeptCannotBeVerified) {
  EXPECT_EQ(checkpoints().verify(CheckpointId("nobody")).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lctl::storage
