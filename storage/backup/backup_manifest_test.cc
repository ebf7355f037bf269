#include "storage/backup/backup_manifest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

BackupManifest example() {
  return {.program_version = "0.1.0",
          .time_us = 1'800'000'000'000'000,
          .schema = 5,
          .database_bytes = 4096,
          .database_sha256 = std::string(64, 'a'),
          .jobs = 3,
          .checkpoints = 2,
          .chunks = 7,
          .chunk_bytes = 1 << 20,
          .missing_chunks = 1};
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(BackupManifestTest, ComesBackAsItWasWritten) {
  const auto read = parse_backup_manifest(to_json(example()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(to_json(*read), to_json(example()));
  EXPECT_EQ(read->chunk_bytes, 1 << 20);
  EXPECT_EQ(read->missing_chunks, 1);
}

TEST(BackupManifestTest, EachFaultIsNamed) {
  const std::string good = to_json(example());
  const auto error = [](const std::string& text) {
    const absl::Status status = parse_backup_manifest(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(message_of(status));
  };
  EXPECT_THAT(error(""), HasSubstr("no JSON object"));
  EXPECT_THAT(error("[1]"), HasSubstr("no JSON object"));
  EXPECT_THAT(error("{}"), HasSubstr("`format` must be a text"));
  EXPECT_THAT(error(replaced(good, "lctl-backup", "other")), HasSubstr("no backup of lctl"));
  EXPECT_THAT(error(replaced(good, "\"jobs\": 3", "\"jobs\": -3")), HasSubstr("`jobs`"));
  EXPECT_THAT(error(replaced(good, "\"jobs\": 3", "\"jobs\": 1e3")), HasSubstr("`jobs`"));
  EXPECT_THAT(error(replaced(good, "\"chunks\": 7", "\"chunks\": 18446744073709551615")),
              HasSubstr("`chunks` is out of range"));
  EXPECT_THAT(error(replaced(good, "\"schema\": 5", "\"schema\": 0")), HasSubstr("`schema`"));
  EXPECT_THAT(error(replaced(good, "aaaa", "AAAA")), HasSubstr("`database_sha256`"));
  EXPECT_THAT(error(good + std::string(kMaxManifestBytes, ' ')), HasSubstr("more than"));
}

TEST(BackupManifestTest, LaterFormatIsRefusedAsSuch) {
  const absl::Status status =
      parse_backup_manifest(
          replaced(to_json(example()), "\"format_version\": 1", "\"format_version\": 2"))
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("made by a newer lctl"));
}

}  // namespace
}  // namespace lctl::storage
