// Heads of answers, and the cache's notes, from anywhere.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/fetch/cache_record.h"
#include "worker/trainer/data/fetch/http_response.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  const std::string sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  return {
      "HTTP/1.1 206 Partial Content\r\nETag: \"abc\"\r\nContent-Length: 12\r\n"
      "Content-Range: bytes 1-12/13\r\nLast-Modified: Tue, 15 Nov 1994 12:45:26 GMT\r\n\r\n",
      to_json(UrlRecord{"http://h/x", sha256, 7, {"\"abc\"", "now"}, 12345}),
      to_json(PartialRecord{{"\"abc\"", ""}, 100, "boot"}),
      to_json(FileRecord{7, 1'700'000'000'000'000'000, 42, sha256})};
}

}  // namespace lctl::fuzz

namespace {

void check(const lctl::Validators& validators) {
  // They go into the next request's head.
  for (const std::string* text : {&validators.etag, &validators.last_modified}) {
    for (const char c : *text) {
      if (c < 0x20) __builtin_trap();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  lctl::HttpResponse response;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1);
    lctl::read_header_line(text.substr(at, end + 1 - at), response);
    at = end + 1;
  }
  check(response.validators);
  if (response.range && response.range->last < response.range->first) __builtin_trap();
  if (const auto record = lctl::parse_url_record(text)) {
    check(record->validators);
    if (record->sha256.size() != 64) __builtin_trap();
  }
  if (const auto record = lctl::parse_partial_record(text)) check(record->validators);
  if (const auto record = lctl::parse_file_record(text)) {
    if (lctl::parse_file_record(lctl::to_json(*record)) != record) __builtin_trap();
  }
  return 0;
}
