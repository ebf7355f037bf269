// Which handler answers a request: a small table of method and path pattern.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "http/message.h"
#include "http/target.h"

namespace lctl::http {

// Runs on a thread of the server's handlers, where it may wait; several at once. What it throws
// becomes a 500.
using Handler = std::function<Response(const Request&)>;

// The same for a request whose body comes in pieces: `request.body` is empty. A response refuses it
// before the body is read.
using UploadHandler =
    std::function<std::variant<std::unique_ptr<Upload>, Response>(const Request&)>;

struct Route {
  std::string method;  // "GET", "POST", "PUT", "PATCH" or "DELETE"
  std::string
      pattern;  // "/metrics", "/runs/{id}", "/files/{path...}" (all the rest, joined by '/')
  Handler handler;
  std::uint64_t max_body_bytes = 0;  // a larger body is refused before it is read
  UploadHandler upload = {};         // in place of `handler`
};

// Requests answered, by the first digit of their status.
struct RouteCount {
  std::string method;
  std::string pattern;
  std::array<std::uint64_t, 5> by_class{};  // 1xx … 5xx
};

// The first route whose pattern fits is taken, so the special ones go in first.
// Thread rule: add() before anything else; then internally locked.
class Router {
  struct Entry;

 public:
  // A pattern that makes no sense is a broken invariant.
  void add(Route route);

  // The handler of a request and what its head says.
  class Match {
   public:
    std::uint64_t max_body_bytes() const;
    bool takes_upload() const;

   private:
    friend class Router;
    Match(const Entry& entry, Request request) : entry_(&entry), request_(std::move(request)) {}
    const Entry* entry_;
    Request request_;  // without headers and body
  };

  // Or the response that refuses: 400 for a bad target, 404 ENDPOINT_NOT_FOUND, 405 with the
  // methods that the path has. Looks at the head alone, so a refusal costs no reading of the body.
  std::variant<Match, Response> find(const RequestHead& head) const;

  // Runs the handler. `body` is at most match.max_body_bytes() long.
  Response respond(Match match, std::map<std::string, std::string> headers, std::string body) const;

  // For a match that takes_upload(): the beginning, each piece, and the end. What refuses or ends
  // it is counted.
  std::variant<std::unique_ptr<Upload>, Response> begin(
      Match& match, std::map<std::string, std::string> headers) const;
  std::optional<Response> take(const Match& match, Upload& upload, std::string_view piece) const;
  Response finish(const Match& match, Upload& upload) const;

  // All of it: for tests of handlers.
  Response respond(const RequestHead& head, std::string body = "",
                   std::map<std::string, std::string> headers = {}) const;

  // One for each route, and a last one with pattern "" for requests that no route answered.
  std::vector<RouteCount> counts() const;

  // For requests that ended before they had a route (a bad request line, say).
  void count_refused(int status) const { count(refused_, status); }

 private:
  using Classes = std::array<std::atomic<std::uint64_t>, 5>;
  struct Entry {
    Route route;
    std::vector<std::string> segments;
    mutable Classes answered{};
  };

  static bool fits(const Entry& entry, const Target& target,
                   std::map<std::string, std::string>& parameters);
  static void count(Classes& classes, int status);
  static Response failed(const Match& match, const std::exception& error);

  std::deque<Entry> entries_;  // they stay where they are
  mutable Classes refused_{};
};

}  // namespace lctl::http
