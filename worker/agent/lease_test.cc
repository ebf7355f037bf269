#include "worker/agent/lease.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class LeaseTest : public testing::Test {
 protected:
  LeaseTest()
      : file_(std::filesystem::path(testing::TempDir()) /
              ("lease_test_" + std::to_string(getpid()))) {
    std::filesystem::remove(file_);
  }

  std::unique_ptr<Lease> open() {
    auto lease = Lease::open({.file = file_,
                              .refused =
                                  [this] {
                                    ++asked_;
                                    return refuses_;
                                  },
                              .now = [this] { return now_; }});
    EXPECT_TRUE(lease.ok()) << lease.status();
    return *std::move(lease);
  }
  LeaseTerms written() const {
    std::ifstream in(file_);
    return parse_lease({std::istreambuf_iterator<char>(in), {}});
  }

  const std::filesystem::path file_;
  BootTime now_ = hours(5);
  bool refuses_ = false;
  int asked_ = 0;
};

TEST_F(LeaseTest, BeginsWithoutABound) {
  const auto lease = open();
  EXPECT_EQ(written().deadline, BootTime::zero());
  EXPECT_EQ(std::filesystem::file_size(file_), to_text({}).size()) << "keepers can read it";
  lease->look();
  EXPECT_EQ(asked_, 0);
}

TEST_F(LeaseTest, AnswersMoveTheDeadlineOn) {
  const auto lease = open();
  lease->renew(now_, seconds(120));
  EXPECT_EQ(written().deadline, now_ + seconds(120));
  EXPECT_EQ(written().length, seconds(120));
  lease->renew(now_ + seconds(2), seconds(120));
  EXPECT_EQ(written().deadline, now_ + seconds(122));
  lease->renew(now_ + seconds(1), seconds(120));
  EXPECT_EQ(written().deadline, now_ + seconds(122)) << "late news";
  lease->renew(now_ + seconds(3), seconds(60));
  EXPECT_EQ(written().deadline, now_ + seconds(63)) << "the server was started with another length";
  lease->renew(now_ + seconds(4), seconds(0));
  EXPECT_EQ(written().deadline, BootTime::zero());
}

TEST_F(LeaseTest, HostThatRefusesMovesItOn) {
  const auto lease = open();
  lease->renew(now_, seconds(120));
  now_ += seconds(29);
  lease->look();
  EXPECT_EQ(asked_, 0) << "a session that has a hiccup is left alone";
  refuses_ = true;
  now_ += seconds(2);
  lease->look();
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(written().deadline, now_ + seconds(120));
}

TEST_F(LeaseTest, SilenceLetsItPass) {
  const auto lease = open();
  lease->renew(now_, seconds(120));
  const BootTime deadline = written().deadline;
  for (int i = 0; i < 10; ++i) {
    now_ += seconds(20);
    lease->look();
  }
  EXPECT_GT(asked_, 0);
  EXPECT_EQ(written().deadline, deadline);
}

TEST_F(LeaseTest, NextDaemonTakesItUp) {
  open()->renew(now_, seconds(120));
  const BootTime deadline = written().deadline;
  now_ += seconds(60);
  const auto lease = open();
  EXPECT_EQ(written().deadline, deadline);
  refuses_ = true;  // the server is down, so this daemon has never heard of any length
  lease->look();
  EXPECT_EQ(written().deadline, now_ + seconds(120));
}

TEST_F(LeaseTest, LeaseOfAnEarlierBootIsNone) {
  open()->renew(now_, seconds(120));
  now_ = seconds(20);
  const auto lease = open();
  EXPECT_EQ(written().deadline, BootTime::zero());
  lease->renew(now_, seconds(120));
  EXPECT_EQ(written().deadline, seconds(140));
}

TEST_F(LeaseTest, TextIsOfOneWidth) {
  const LeaseTerms terms{BootTime(milliseconds(1'234'567)), seconds(120)};
  EXPECT_EQ(to_text(terms).size(), to_text({}).size());
  EXPECT_EQ(parse_lease(to_text(terms)).deadline, terms.deadline);
  for (const char* bad : {"", "x", "5", "-1 100", "5 0", "5 99999999999"}) {
    EXPECT_EQ(parse_lease(bad).deadline, BootTime::zero()) << bad;
  }
}

TEST_F(LeaseTest, UnwritableFolderIsNamed) {
  const auto lease = Lease::open({.file = "/nope/lease", .refused = {}, .now = {}});
  ASSERT_FALSE(lease.ok());
  EXPECT_NE(message_of(lease.status()).find("/nope/lease"), std::string::npos);
}

}  // namespace
}  // namespace lctl::agent
