// A server for tests: it answers, and misbehaves, as it is told.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lctl::testing {

struct Request {
  std::string path;                            // with its query
  std::map<std::string, std::string> headers;  // names in lower case

  std::string header(const std::string& name) const;
};

struct Reply {
  int status = 200;
  std::vector<std::string> headers;  // "Name: value"; Content-Length is added
  std::string body;
  bool with_length = true;               // false: the connection's end is the body's
  std::optional<std::size_t> cut_after;  // breaks the connection behind that much of the body
  std::chrono::milliseconds stall{0};    // waits so long there instead, then breaks it
};

// What a good server answers: ranges, If-Range, If-None-Match.
Reply serve(const Request& request, const std::string& content, const std::string& etag);

// A certificate for 127.0.0.1 that nobody but itself has signed, and its key; PEM.
struct Certificate {
  std::string certificate;
  std::string key;
};
Certificate self_signed();

// Listens on 127.0.0.1. `answer` is called by one thread for each connection. Thread rule:
// internally locked.
class HttpServer {
 public:
  explicit HttpServer(std::function<Reply(const Request&)> answer,
                      std::optional<Certificate> tls = std::nullopt);
  ~HttpServer();  // waits for its threads
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& path) const;
  std::vector<Request> requests() const;  // so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lctl::testing
