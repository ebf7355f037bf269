#include "worker/agent/node_identity.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class NodeIdentityTest : public ::testing::Test {
 protected:
  NodeIdentityTest() : data_dir_(std::filesystem::path(testing::TempDir()) / "node_identity_test") {
    std::filesystem::remove_all(data_dir_);
    std::filesystem::create_directories(data_dir_);
  }
  const std::filesystem::path data_dir_;
};

TEST_F(NodeIdentityTest, IdIsMadeOnceAndKept) {
  const auto first = load_or_make_node_id(data_dir_);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->str().size(), 16u);
  EXPECT_EQ(*load_or_make_node_id(data_dir_), *first);
  std::filesystem::remove(data_dir_ / "node_id");
  EXPECT_NE(*load_or_make_node_id(data_dir_), *first);
}

TEST_F(NodeIdentityTest, FileThatHoldsNoIdIsNotGuessedAt) {
  for (const char* text : {"", "short", "UPPERCASE2345678", "abcdefghijklmno1"}) {
    std::ofstream(data_dir_ / "node_id") << text;
    const auto id = load_or_make_node_id(data_dir_);
    EXPECT_TRUE(absl::IsDataLoss(id.status())) << text;
    EXPECT_THAT(std::string(message_of(id.status())), HasSubstr("delete it"));
  }
}

TEST_F(NodeIdentityTest, FolderBelongsToOneProcess) {
  ASSERT_TRUE(lock_data_dir(data_dir_ / "new").ok());
  const pid_t child = fork();
  if (child == 0) _exit(absl::IsUnavailable(lock_data_dir(data_dir_ / "new")) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(NodeIdentityTest, FolderThatCannotBeMadeIsNamed) {
  std::ofstream(data_dir_ / "file") << "";
  const absl::Status status = lock_data_dir(data_dir_ / "file" / "data");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(message_of(status)), HasSubstr((data_dir_ / "file" / "data").string()));
}

TEST_F(NodeIdentityTest, AddressIsTheOneTowardsTheServer) {
  EXPECT_EQ(address_towards("127.0.0.1:7070"), "127.0.0.1");
  EXPECT_THAT(address_towards("[::1]:7070"), AnyOf("::1", host_name()));
  EXPECT_EQ(address_towards("no.such.host.invalid:7070"), host_name());
}

TEST_F(NodeIdentityTest, LoopbackIsKnown) {
  for (const char* address : {"127.0.0.1", "127.8.8.8", "::1", "localhost"})
    EXPECT_TRUE(is_loopback(address));
  for (const char* address : {"10.0.0.1", "fe80::1", "node1"}) EXPECT_FALSE(is_loopback(address));
}

}  // namespace
}  // namespace lctl::agent
