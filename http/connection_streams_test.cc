// Bodies in pieces over real sockets, both ways.
#include <atomic>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/server.h"
#include "http/testing/peer.h"

namespace lctl::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kLarge = 5'000'000;

std::string pattern(std::size_t bytes) {
  std::string text;
  text.reserve(bytes + 8);
  for (int i = 0; text.size() < bytes; ++i) text += std::to_string(i);
  text.resize(bytes);
  return text;
}

// Keeps what it takes; refuses behind `limit`.
class Keeping final : public Upload {
 public:
  Keeping(std::string& kept, std::size_t limit, std::atomic<int>& alive)
      : kept_(kept), limit_(limit), alive_(alive) {
    ++alive_;
  }
  ~Keeping() override { --alive_; }

  std::optional<Response> take(std::string_view piece) override {
    largest_ = std::max(largest_, piece.size());
    kept_.append(piece);
    if (kept_.size() <= limit_) return std::nullopt;
    return error_response(400, "TOO_MUCH", "no more");
  }
  Response finish() override { return {.body = std::to_string(largest_)}; }

 private:
  std::string& kept_;
  const std::size_t limit_;
  std::atomic<int>& alive_;
  std::size_t largest_ = 0;
};

class ConnectionStreamsTest : public ::testing::Test {
 protected:
  ConnectionStreamsTest() {
    using Begun = std::variant<std::unique_ptr<Upload>, Response>;
    router_.add({.method = "PUT",
                 .pattern = "/files/{name}",
                 .handler = nullptr,
                 .max_body_bytes = 10'000'000,
                 .upload = [this](const Request& request) -> Begun {
                   if (request.parameters.at("name") == "no") {
                     return error_response(403, "NO", "not here");
                   }
                   return std::make_unique<Keeping>(kept_, limit_, alive_);
                 }});
    router_.add({.method = "GET", .pattern = "/large", .handler = [this](const Request&) {
                   Response response{.content_type = "text/plain"};
                   response.stream = BodyStream{
                       .size = kLarge,
                       .next = [this, at = std::size_t{0}]() mutable { return next(at); }};
                   return response;
                 }});
    auto server =
        HttpServer::start({.host = "127.0.0.1", .router = router_, .connections = counts_});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  absl::StatusOr<std::string> next(std::size_t& at) {
    if (at >= breaks_at_) return absl::DataLossError("damaged");
    std::string piece = content_.substr(at, 700'000);
    at += piece.size();
    return piece;
  }

  Peer peer() { return Peer(server_->port()); }

  const std::string content_ = pattern(kLarge);
  std::string kept_;
  std::size_t limit_ = 100'000'000;
  std::size_t breaks_at_ = kLarge + 1;
  std::atomic<int> alive_{0};
  Router router_;
  ConnectionCounts counts_;
  std::unique_ptr<HttpServer> server_;
};

std::string put(const std::string& name, const std::string& headers) {
  return "PUT /files/" + name + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

TEST_F(ConnectionStreamsTest, LargeBodyComesInPiecesAndTheConnectionGoesOn) {
  Peer client = peer();
  client.send(put("a", "Content-Length: " + std::to_string(kLarge) + "\r\n") + content_);
  const std::string answer = client.receive();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n1048576"));  // no piece is larger
  EXPECT_EQ(kept_, content_);
  EXPECT_EQ(alive_, 0);
  kept_.clear();
  client.send(put("b", "Content-Length: 2\r\n") + "xy");
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(kept_, "xy");
}

TEST_F(ConnectionStreamsTest, ChunkedAndEmptyBodiesAreTaken) {
  Peer client = peer();
  client.send(put("a", "Transfer-Encoding: chunked\r\n") +
              "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(kept_, "hello world");
  client.send(put("a", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n");
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 200 OK\r\n"));
  client.send(put("a", "Content-Length: 0\r\n"));
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(kept_, "hello world");
}

TEST_F(ConnectionStreamsTest, ClientThatAsksFirstIsToldToSend) {
  Peer client = peer();
  client.send(put("a", "Content-Length: 2\r\nExpect: 100-continue\r\n"));
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 100 Continue\r\n"));
  client.send("xy");
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ConnectionStreamsTest, RefusalCostsNoReading) {
  Peer client = peer();
  client.send(put("no", "Content-Length: 9000000\r\nExpect: 100-continue\r\n"));
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(peer().send(put("a", "Content-Length: 10000001\r\n")).receive(),
              StartsWith("HTTP/1.1 413 Payload Too Large\r\n"));
}

TEST_F(ConnectionStreamsTest, HandlerMayRefuseOnTheWay) {
  limit_ = 10;
  Peer client = peer();
  client.send(put("a", "Content-Length: 3000000\r\n") + content_.substr(0, 1'100'000));
  EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
}

TEST_F(ConnectionStreamsTest, LargeResponseIsWhole) {
  Peer client = peer();
  client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = client.receive();
  EXPECT_THAT(answer, HasSubstr("Content-Length: " + std::to_string(kLarge) + "\r\n"));
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), content_);
  client.send("HEAD /large HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.receive(/*with_body=*/false), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ConnectionStreamsTest, BrokenResponseEndsTheConnection) {
  breaks_at_ = 1'000'000;
  const std::string answer = peer().send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").receive_all();
  EXPECT_LT(answer.size(), kLarge);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ConnectionStreamsTest, UploadOfAVanishedPeerIsForgotten) {
  {
    Peer client = peer();
    client.send(put("a", "Content-Length: 3000000\r\n") + content_.substr(0, 100));
    client.send("x");
  }
  server_->stop();
  EXPECT_EQ(alive_, 0);
}

}  // namespace
}  // namespace lctl::http
