// A folder that a test has for itself.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace lctl::storage {

// Made empty, deleted with all that is in it at the end. Thread rule: immutable.
class TempFolder {
 public:
  TempFolder() {
    const char* parent = getenv("TEST_TMPDIR");
    std::string name =
        (std::filesystem::path(parent != nullptr ? parent : "/tmp") / "store-XXXXXX");
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
  std::filesystem::path path_;
};

}  // namespace lctl::storage
