// A request and its response as values: what handlers take and return. No sockets, no Boost.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace lctl::http {

// Names and values as the sender wrote them, decoded, in its order; a name may come twice.
using Query = std::vector<std::pair<std::string, std::string>>;

// What stands before the body; enough to choose a handler.
struct RequestHead {
  std::string method;  // "GET"; HEAD is answered as GET without its body
  std::string target;  // as sent: "/api/runs?name=a%20b"
};

// A whole request, checked: texts are UTF-8 without NUL.
struct Request {
  std::string method;
  std::string path;                               // decoded, without the query
  Query query;                                    // decoded
  std::map<std::string, std::string> parameters;  // what stood for {name} in the route's pattern
  std::map<std::string, std::string> headers;     // names in lower case
  std::string body;  // bytes as sent, at most the route's max_body_bytes

  // The first value of that name.
  std::optional<std::string_view> query_value(std::string_view name) const;
};

// A response's body that is made while it is sent.
struct BodyStream {
  std::uint64_t size = 0;  // of the whole
  // The next bytes; never "" before `size` bytes have come. Called on a thread of the handlers,
  // never twice at once, not before what it gave last is sent. An error ends the connection: the
  // peer sees that the body is not whole.
  std::function<absl::StatusOr<std::string>()> next;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // beyond those that the server sets
  std::optional<BodyStream> stream = {};                     // in place of `body`
};

// Takes a request's body while it is read: of gigabytes, in pieces. Thread rule: called on threads
// of the handlers, one call at a time. Destroyed without finish() when the peer went or refused.
class Upload {
 public:
  virtual ~Upload() = default;

  // The next bytes. A response ends it: what is still coming is not read.
  virtual std::optional<Response> take(std::string_view piece) = 0;

  // Behind the last piece.
  virtual Response finish() = 0;
};

// {"error_code": …, "message": …}: what every failed request gets. The message says what, where,
// why and what to do; bytes of it that are not UTF-8 are replaced.
Response error_response(int status, std::string_view error_code, std::string_view message);

// The same for a Status that is not OK: InvalidArgument 400, NotFound 404, AlreadyExists and
// FailedPrecondition 409, ResourceExhausted 429, Unavailable 503, all else 500, and so on as gRPC's
// gateways do; the code's name ("INVALID_ARGUMENT") is the error_code.
Response error_response(const absl::Status& status);

}  // namespace lctl::http
