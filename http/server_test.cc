// The server over real sockets, with a client that sends bytes as it likes.
#include "http/server.h"

#include <condition_variable>
#include <mutex>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/testing/peer.h"

namespace lctl::http {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    router_.add({.method = "GET", .pattern = "/hello", .handler = [](const Request& request) {
                   return Response{
                       .content_type = "text/plain",
                       .body = "hello " +
                               std::string(request.query_value("to").value_or("nobody")) + "\n"};
                 }});
    router_.add({.method = "POST",
                 .pattern = "/echo",
                 .handler =
                     [](const Request& request) {
                       return Response{.content_type = request.headers.at("content-type"),
                                       .body = request.body};
                     },
                 .max_body_bytes = 100'000});
    router_.add({.method = "GET", .pattern = "/wait", .handler = [this](const Request&) {
                   std::unique_lock lock(mutex_);
                   ++waiting_;
                   changed_.notify_all();
                   changed_.wait(lock, [&] { return released_; });
                   return Response{.body = "{}"};
                 }});
  }

  HttpServer& start(Limits limits = {}) {
    auto server = HttpServer::start(
        {.host = "127.0.0.1", .router = router_, .connections = counts_, .limits = limits});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    return *server_;
  }
  Peer peer() { return Peer(server_->port()); }

  void await_waiting(int number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == number; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

  Router router_;
  ConnectionCounts counts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool released_ = false;
  std::unique_ptr<HttpServer> server_;
};

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

TEST_F(HttpServerTest, OneConnectionCarriesManyRequests) {
  start();
  Peer client = peer();
  // The second is on its way before the first is answered.
  client.send(get("/hello?to=you") + get("/hello"));
  const std::string first = client.receive();
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(first, HasSubstr("\r\n\r\nhello you\n"));
  EXPECT_THAT(client.receive(), HasSubstr("hello nobody\n"));
  client.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + get("/hello"));
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(client.receive(), HasSubstr("hello nobody\n"));
  EXPECT_EQ(counts_.view().accepted, 1u);
}

TEST_F(HttpServerTest, HeadIsGetWithoutItsBody) {
  start();
  Peer client = peer();
  client.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.receive(/*with_body=*/false), HasSubstr("Content-Length: 13\r\n"));
  client.send(get("/hello"));
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, ConnectionEndsWhenTheClientWantsThat) {
  start();
  EXPECT_THAT(peer().send("GET /hello HTTP/1.0\r\n\r\n").receive_all(), HasSubstr("hello nobody"));
  EXPECT_THAT(
      peer().send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").receive_all(),
      HasSubstr("hello nobody"));
}

TEST_F(HttpServerTest, BodiesComeWholeWithLengthInChunksAndAfterContinue) {
  start();
  Peer client = peer();
  const std::string body(90'000, 'b');
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n";
  client.send(head + "Content-Length: 90000\r\n\r\n" + body);
  EXPECT_THAT(client.receive(), HasSubstr("a/b\r\n"));
  client.send(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(client.receive(), HasSubstr("\r\n\r\nabcde"));
  client.send(head + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 100 Continue"));
  EXPECT_THAT(client.send("hi").receive(), HasSubstr("\r\n\r\nhi"));
}

TEST_F(HttpServerTest, WhatIsTooLargeIsRefusedBeforeItIsRead) {
  start();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n";
  EXPECT_THAT(peer().send(head + "Content-Length: 100001\r\n\r\n").receive_all(),
              AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("may have 100000 bytes")));
  EXPECT_THAT(
      peer()
          .send(head + "Transfer-Encoding: chunked\r\n\r\n186a1\r\n" + std::string(100'001, 'b'))
          .receive_all(),
      StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(
      peer().send("GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n").receive_all(),
      AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("has no body")));
  EXPECT_THAT(
      peer().send("GET /hello HTTP/1.1\r\nHost: x\r\nX: " + std::string(17'000, 'x')).receive_all(),
      AllOf(StartsWith("HTTP/1.1 431"), HasSubstr("16384 bytes")));
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefusedAsJson) {
  start();
  EXPECT_THAT(peer().send("\x16\x03\x01 hello\r\n\r\n").receive_all(),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("\"error_code\":\"BAD_REQUEST\"")));
  EXPECT_THAT(peer().send("GET /hello HTTP/1.1\r\n\r\n").receive_all(),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("Host")));
  EXPECT_EQ(router_.counts().back().by_class[3], 2u);
}

TEST_F(HttpServerTest, SlowAndSilentPeersAreDisconnected) {
  start({.header_time = milliseconds(20),
         .idle_time = milliseconds(20),
         .body_time = milliseconds(20)});
  EXPECT_EQ(peer().receive_all(), "");
  EXPECT_EQ(peer().send("GET /hel").receive_all(), "");
  EXPECT_EQ(
      peer().send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc").receive_all(),
      "");
}

TEST_F(HttpServerTest, OneConnectionTooManyIsTurnedAway) {
  start({.connections = 1});
  Peer first = peer();
  first.send(get("/hello"));
  first.receive();
  EXPECT_THAT(peer().receive_all(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("1 connections")));
  EXPECT_EQ(counts_.view().refused, 1u);
  first.send(get("/hello"));
  EXPECT_THAT(first.receive(), HasSubstr("hello nobody"));
}

TEST_F(HttpServerTest, StopLetsRequestsUnderWayEnd) {
  start();
  Peer idle = peer();
  idle.send(get("/hello"));
  idle.receive();
  Peer busy = peer();
  busy.send(get("/wait"));
  await_waiting(1);
  const int port = server_->port();
  std::thread stopping([&] { server_->stop(); });
  EXPECT_EQ(idle.receive_all(), "");
  release();
  EXPECT_THAT(busy.receive_all(),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Connection: close")));
  stopping.join();
  EXPECT_THROW(Peer{port}, boost::system::system_error);
}

TEST_F(HttpServerTest, StopWaitsForNoPeerThatDoesNotRead) {
  start({.stop_grace = milliseconds(1)});
  Peer busy = peer();
  busy.send(get("/wait"));
  await_waiting(1);
  std::thread releasing([&] { release(); });
  server_->stop();
  releasing.join();
  server_.reset();
}

TEST_F(HttpServerTest, PortThatIsTakenIsAClearError) {
  start();
  const auto second = HttpServer::start(
      {.host = "127.0.0.1", .port = server_->port(), .router = router_, .connections = counts_});
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another program"));
  const auto nowhere = HttpServer::start(
      {.host = "host.invalid", .port = 0, .router = router_, .connections = counts_});
  EXPECT_TRUE(absl::IsUnavailable(nowhere.status()));
}

}  // namespace
}  // namespace lctl::http
