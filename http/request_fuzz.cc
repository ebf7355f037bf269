// Requests: any method and target, through the router.
#include <algorithm>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "http/router.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {"GET /metrics", "POST /runs/a%20b/files/x/y.txt?name=%C3%A9&x=1+2&flag#end",
          "HEAD /runs/search?filter=a%3Db", "DELETE /runs/1"};
}

}  // namespace lctl::fuzz

namespace {

using lctl::http::Request;
using lctl::http::Response;

// What every handler may rely on.
Response check(const Request& request) {
  if (!lctl::is_utf8(request.path) || request.path.find('\0') != std::string::npos) {
    __builtin_trap();
  }
  for (const auto& [name, value] : request.parameters) {
    if (value.empty() || value == "." || value == ".." || !lctl::is_utf8(value)) __builtin_trap();
  }
  for (const auto& [name, value] : request.query) {
    if (!lctl::is_utf8(name) || !lctl::is_utf8(value)) __builtin_trap();
  }
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lctl::http::Router router;
  router.add({.method = "GET", .pattern = "/metrics", .handler = check});
  router.add({.method = "GET", .pattern = "/runs/search", .handler = check});
  router.add({.method = "POST", .pattern = "/runs/{run}/files/{path...}", .handler = check});
  router.add({.method = "DELETE", .pattern = "/runs/{run}", .handler = check});
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t space = std::min(text.find(' '), text.size());
  const Response response = router.respond(
      {text.substr(0, space), text.substr(std::min(space + 1, text.size()))}, "body");
  if (response.status < 200 || response.status > 599) __builtin_trap();
  return 0;
}
