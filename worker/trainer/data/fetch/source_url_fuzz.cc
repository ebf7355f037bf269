// URLs from anywhere.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/source_url.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {
      "https://user:password@host.example:8443/a/train%20set.csv.gz?token=1&b#sha256="
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "file:///data/a%20b.csv", "data/train.csv", "http://h?x/../%2e%2e"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lctl::SourceUrl url = lctl::parse_source(text);
    const bool remote = url.scheme == lctl::SourceUrl::Scheme::kHttp ||
                        url.scheme == lctl::SourceUrl::Scheme::kHttps;
    // A name is one component of a path, and none of the cache's own.
    if (remote &&
        (url.name.empty() || url.name.size() > 200 || url.name[0] == '.' ||
         url.name.find('/') != std::string::npos || url.name.find('\0') != std::string::npos))
      __builtin_trap();
    if (!remote && url.path.empty()) __builtin_trap();
  } catch (const lctl::FetchError&) {
    return 0;  // refused
  }
  return 0;
}
