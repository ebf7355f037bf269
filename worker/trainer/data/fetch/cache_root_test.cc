#include "worker/trainer/data/fetch/cache_root.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> folders(std::map<std::string, std::string> variables) {
  return cache_roots([&](const char* name) { return variables[name]; }).folders;
}

TEST(CacheRootTest, MostSpecificVariableDecides) {
  const fs::path service = "/var/cache/lctl/data";
  EXPECT_EQ(folders({{"LCTL_DATA_CACHE", "/a"}, {"XDG_CACHE_HOME", "/b"}, {"HOME", "/c"}}),
            std::vector<fs::path>{"/a"});
  EXPECT_EQ(folders({{"XDG_CACHE_HOME", "/b"}, {"HOME", "/c"}}),
            (std::vector<fs::path>{"/b/lctl/data", service}));
  EXPECT_EQ(folders({{"XDG_CACHE_HOME", "relative"}, {"HOME", "/c"}}),
            (std::vector<fs::path>{"/c/.cache/lctl/data", service}));
  EXPECT_EQ(folders({}), std::vector<fs::path>{service});
}

TEST(CacheRootTest, FirstThatCanBeMadeIsUsed) {
  const fs::path base = fs::path(::testing::TempDir()) / "roots";
  fs::remove_all(base);
  fs::create_directories(base);
  std::ofstream(base / "file") << "x";
  EXPECT_EQ(usable_root({{base / "file" / "x", base / "new" / "deep"}, false}),
            base / "new" / "deep");
  EXPECT_EQ(fs::status(base / "new" / "deep").permissions(), fs::perms(0755));
}

TEST(CacheRootTest, AllThatWereTriedAreNamed) {
  try {
    usable_root({{"/proc/a", "/dev/null/b"}, false});
    ADD_FAILURE() << "no error";
  } catch (const FetchError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("/proc/a: "), std::string::npos) << text;
    EXPECT_NE(text.find("/dev/null/b: "), std::string::npos) << text;
    EXPECT_NE(text.find("LCTL_DATA_CACHE"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace lctl
