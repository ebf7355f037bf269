#include "server/storage_options.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::server {
namespace {

using testing::HasSubstr;

class StorageOptionsTest : public testing::Test {
 protected:
  StorageOptionsTest() { declare_storage_options(app_, options_); }

  // "" when it is understood.
  std::string parse(const std::string& line) {
    try {
      app_.parse(line);
      return "";
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
  }

  CLI::App app_;
  ServerOptions options_;
};

TEST_F(StorageOptionsTest, NothingIsRemovedUnlessAsked) {
  EXPECT_EQ(parse(""), "");
  EXPECT_TRUE(options_.retention.empty());
}

TEST_F(StorageOptionsTest, AgesAndSizesAreThoseOfJobFiles) {
  EXPECT_EQ(parse("--keep-finished-jobs 90d --keep-logs 12h --max-store-size 500GiB"), "");
  EXPECT_EQ(options_.retention.keep_jobs, std::chrono::hours(24 * 90));
  EXPECT_EQ(options_.retention.keep_logs, std::chrono::hours(12));
  EXPECT_EQ(options_.retention.max_store_bytes, std::int64_t{500} << 30);
  EXPECT_EQ(options_.retention.keep_checkpoints, std::nullopt);
}

TEST_F(StorageOptionsTest, ReserveCanBeNone) {
  EXPECT_EQ(options_.reserve_bytes, std::nullopt);
  EXPECT_EQ(parse("--reserve 0"), "");
  EXPECT_EQ(options_.reserve_bytes, 0);
  EXPECT_EQ(parse("--reserve 2GiB"), "");
  EXPECT_EQ(options_.reserve_bytes, std::int64_t{2} << 30);
}

TEST_F(StorageOptionsTest, WhatCannotBeIsRefusedInWords) {
  EXPECT_THAT(parse("--keep-finished-jobs 90"), HasSubstr("expected something like 90d"));
  EXPECT_THAT(parse("--keep-logs 0s"), HasSubstr("is not above zero"));
  EXPECT_THAT(parse("--max-store-size much"), HasSubstr("expected something like 500GiB"));
}

}  // namespace
}  // namespace lctl::server
