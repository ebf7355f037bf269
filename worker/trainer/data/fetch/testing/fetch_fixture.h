// A cache of its own, and quick tries, for tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/fetcher.h"
#include "worker/trainer/data/fetch/sha256.h"
#include "worker/trainer/data/fetch/testing/http_server.h"

namespace lctl::testing {

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Bytes that differ everywhere.
inline std::string some_bytes(std::size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  for (char& c : bytes) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>(seed >> 24);
  }
  return bytes;
}

class FetchFixture : public ::testing::Test {
 protected:
  FetchFixture() {
    for (const char* name :
         {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "CURL_CA_BUNDLE",
          "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}) {
      unsetenv(name);
    }
    // Not below the test's own folder, which other users may not enter.
    std::string name = (std::filesystem::temp_directory_path() / "lctl_fetch.XXXXXX").string();
    folder_ = mkdtemp(name.data());
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
  }
  ~FetchFixture() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  FetchOptions options() {
    FetchOptions options;
    options.cache = folder_ / "cache";
    options.first_wait = std::chrono::milliseconds(2);
    options.say = [this](const std::string& text) { said_.push_back(text); };
    return options;
  }

  std::filesystem::path fetch(const std::string& url) { return Fetcher(options()).fetch(url); }

  static void expect_error(const std::function<void()>& call, FetchErrorKind kind, bool permanent,
                           const std::vector<std::string>& words) {
    try {
      call();
      ADD_FAILURE() << "no error";
    } catch (const FetchError& error) {
      EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << error.what();
      EXPECT_EQ(error.permanent(), permanent) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      for (const std::string& word : words) {
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
            << "no '" << word << "' in: " << error.what();
      }
    }
  }

  // Ordinary files below the cache whose names end with `suffix`.
  std::vector<std::filesystem::path> cached(const std::string& below, const std::string& suffix) {
    std::vector<std::filesystem::path> found;
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_ / "cache" / below, ignored)) {
      if (entry.is_regular_file() && entry.path().filename().string().ends_with(suffix))
        found.push_back(entry.path());
    }
    return found;
  }

  std::filesystem::path folder_;
  std::vector<std::string> said_;
};

}  // namespace lctl::testing
