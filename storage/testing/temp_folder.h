// A folder that a test has for itself.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace lctl::storage {

// Made empty, deleted with all that is in it at the end. In memory where there is room, and nothing
// is synced (no_sync.h): a busy disk would make tests slow. Thread rule: immutable.
class TempFolder {
 public:
  TempFolder() {
    std::string name = parent() / "lctl-test-XXXXXX";
    LCTL_CHECK(mkdtemp(name.data()) != nullptr, "tests can make folders");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  static std::filesystem::path parent() {
    constexpr std::uintmax_t kEnoughBytes = 48 << 20;
    std::error_code error;
    const std::filesystem::space_info memory = std::filesystem::space("/dev/shm", error);
    if (!error && memory.available >= kEnoughBytes && access("/dev/shm", W_OK) == 0) {
      return "/dev/shm";
    }
    const char* given = getenv("TEST_TMPDIR");
    return given != nullptr ? given : "/tmp";
  }

  std::filesystem::path path_;
};

}  // namespace lctl::storage
