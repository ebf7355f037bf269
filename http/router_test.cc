#include "http/router.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Handler says(std::string text) {
  return [text = std::move(text)](const Request&) { return Response{.body = text}; };
}

// What the error says, once it has been seen to be JSON.
std::string message_in(const Response& response, std::string_view code) {
  const auto body = nlohmann::json::parse(response.body);
  EXPECT_EQ(body.at("error_code"), code);
  return body.at("message");
}

TEST(RouterTest, RequestGoesToTheRouteOfItsMethodAndPath) {
  Router router;
  router.add({.method = "GET", .pattern = "/", .handler = says("root")});
  router.add({.method = "GET", .pattern = "/runs", .handler = says("list")});
  router.add({.method = "POST", .pattern = "/runs", .handler = says("create")});
  EXPECT_EQ(router.respond({"GET", "/"}).body, "root");
  EXPECT_EQ(router.respond({"GET", "/runs?limit=3"}).body, "list");
  EXPECT_EQ(router.respond({"HEAD", "/runs"}).body, "list");
  EXPECT_EQ(router.respond({"POST", "/runs"}).body, "create");
}

TEST(RouterTest, HandlerGetsTheRequestDecoded) {
  Router router;
  Request seen;
  router.add({.method = "PUT",
              .pattern = "/runs/{run}/files/{path...}",
              .handler =
                  [&](const Request& request) {
                    seen = request;
                    return Response{};
                  },
              .max_body_bytes = 10});
  router.respond({"PUT", "/runs/a%20b/files/x/y%3F.txt?q=1"}, "bytes");
  EXPECT_EQ(seen.method, "PUT");
  EXPECT_EQ(seen.path, "/runs/a b/files/x/y?.txt");
  EXPECT_THAT(seen.parameters, ElementsAre(Pair("path", "x/y?.txt"), Pair("run", "a b")));
  EXPECT_EQ(seen.query_value("q"), "1");
  EXPECT_EQ(seen.query_value("p"), std::nullopt);
  EXPECT_EQ(seen.body, "bytes");
}

TEST(RouterTest, TheFirstRouteThatFitsIsTaken) {
  Router router;
  router.add({.method = "GET", .pattern = "/runs/search", .handler = says("search")});
  router.add({.method = "GET", .pattern = "/runs/{run}", .handler = says("one")});
  EXPECT_EQ(router.respond({"GET", "/runs/search"}).body, "search");
  EXPECT_EQ(router.respond({"GET", "/runs/x"}).body, "one");
}

TEST(RouterTest, UnknownPathsAndMethodsAreRefusedAsJson) {
  Router router;
  router.add({.method = "GET", .pattern = "/runs/{run}", .handler = says("one")});
  const Response nowhere = router.respond({"GET", "/rnus/x"});
  EXPECT_EQ(nowhere.status, 404);
  EXPECT_THAT(message_in(nowhere, "ENDPOINT_NOT_FOUND"), HasSubstr("/rnus/x"));
  EXPECT_EQ(router.respond({"GET", "/runs/"}).status, 404);
  EXPECT_EQ(router.respond({"GET", "/runs/x/y"}).status, 404);

  const Response wrong = router.respond({"DELETE", "/runs/x"});
  EXPECT_EQ(wrong.status, 405);
  EXPECT_THAT(message_in(wrong, "METHOD_NOT_ALLOWED"), HasSubstr("GET, HEAD"));
  EXPECT_THAT(wrong.headers, ElementsAre(Pair("Allow", "GET, HEAD")));

  const Response bad = router.respond({"GET", "/%zz"});
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(message_in(bad, "INVALID_ARGUMENT"), HasSubstr("hexadecimal"));
}

TEST(RouterTest, HandlerThatThrowsBecomesAnInternalErrorWithoutItsWords) {
  Router router;
  router.add({.method = "GET", .pattern = "/x", .handler = [](const Request&) -> Response {
                throw std::runtime_error("secret");
              }});
  const Response response = router.respond({"GET", "/x"});
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(message_in(response, "INTERNAL").find("secret"), std::string::npos);
}

TEST(RouterTest, AnswersAreCountedByRouteAndClass) {
  Router router;
  router.add({.method = "GET", .pattern = "/ok", .handler = says("ok")});
  router.add({.method = "GET", .pattern = "/no", .handler = [](const Request&) {
                return error_response(absl::NotFoundError("no such run"));
              }});
  router.respond({"GET", "/ok"});
  router.respond({"GET", "/ok"});
  router.respond({"GET", "/no"});
  router.respond({"GET", "/nowhere"});
  const std::vector<RouteCount> counts = router.counts();
  ASSERT_EQ(counts.size(), 3u);
  EXPECT_THAT(counts[0].by_class, ElementsAre(0, 2, 0, 0, 0));
  EXPECT_THAT(counts[1].by_class, ElementsAre(0, 0, 0, 1, 0));
  EXPECT_EQ(counts[2].pattern, "");
  EXPECT_THAT(counts[2].by_class, ElementsAre(0, 0, 0, 1, 0));
}

TEST(ErrorResponseTest, StatusBecomesTheMatchingCodeAndBadUtf8IsReplaced) {
  EXPECT_EQ(error_response(absl::InvalidArgumentError("x")).status, 400);
  EXPECT_EQ(error_response(absl::NotFoundError("x")).status, 404);
  EXPECT_EQ(error_response(absl::FailedPreconditionError("x")).status, 409);
  EXPECT_EQ(error_response(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(error_response(absl::DataLossError("x")).status, 500);
  EXPECT_EQ(message_in(error_response(absl::NotFoundError("a\xff")), "NOT_FOUND"), "a\uFFFD");
}

}  // namespace
}  // namespace lctl::http
