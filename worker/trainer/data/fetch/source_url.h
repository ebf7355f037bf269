// What a job file may name as an input: a path, or a URL.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lctl {

struct SourceUrl {
  enum class Scheme { kPath, kFile, kHttp, kHttps };

  Scheme scheme = Scheme::kPath;
  std::string address;  // http, https: the URL without its fragment
  std::string path;     // path, file: decoded
  std::string sha256;   // 64 lower-case digits, or "" = any content
  std::string name;     // http, https: the file's name in the cache, from the end of the path
  std::string shown;    // for messages and records: passwords and signatures hidden
  std::string key;      // http, https: `address` without user and password; names it in the cache
};

inline constexpr std::size_t kMaxUrlSize = 8192;

// Understands paths (all without a scheme, as they are), `file://` and `http(s)://`, the last two
// with an optional fragment "#sha256=<64 hexadecimal digits>". Throws FetchError (kMalformedUrl).
// Pure.
SourceUrl parse_source(std::string_view text);

// Any URL as it may be shown: password, fragment, and values of parameters that look like secrets
// are "***"; control characters are "?"; what is long is cut. Pure.
std::string shown_url(std::string_view url);

}  // namespace lctl
