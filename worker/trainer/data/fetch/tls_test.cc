// Whom an https fetch trusts.
#include "worker/trainer/data/fetch/testing/fetch_fixture.h"

namespace lctl::testing {
namespace {

class TlsTest : public FetchFixture {
 protected:
  TlsTest() : authority_((folder_ / "authority.pem").string()) {
    const Certificate certificate = self_signed();
    std::ofstream(authority_) << certificate.certificate;
    server_ = std::make_unique<HttpServer>(
        [this](const Request& request) {
          if (request.path != "/moved") return serve(request, "hello", "\"one\"");
          Reply reply{301};
          reply.headers.push_back("Location: " + elsewhere_);
          return reply;
        },
        certificate);
  }

  std::string authority_;
  std::string elsewhere_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsTest, UnknownAuthorityIsRefusedAtOnce) {
  expect_error([&] { fetch(server_->url("/x")); }, FetchErrorKind::kCertificate, true,
               {"not trusted", "self", "SSL_CERT_FILE"});
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(TlsTest, AuthorityFromTheEnvironmentIsTrusted) {
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}) {
    setenv(name, authority_.c_str(), 1);
    EXPECT_EQ(content_of(fetch(server_->url("/") + name)), "hello") << name;
    unsetenv(name);
  }
}

TEST_F(TlsTest, VariableThatDecidesIsNamed) {
  const std::string other = (folder_ / "other.pem").string();
  std::ofstream(other) << self_signed().certificate;
  setenv("SSL_CERT_FILE", authority_.c_str(), 1);
  setenv("CURL_CA_BUNDLE", other.c_str(), 1);
  expect_error([&] { fetch(server_->url("/x")); }, FetchErrorKind::kCertificate, true,
               {"trusted are those in $CURL_CA_BUNDLE, " + other});
  unsetenv("CURL_CA_BUNDLE");
}

TEST_F(TlsTest, AuthorityFileThatIsNotThereIsSaid) {
  setenv("SSL_CERT_FILE", "/none/authority.pem", 1);
  expect_error([&] { fetch(server_->url("/x")); }, FetchErrorKind::kCertificate, true,
               {"/none/authority.pem"});
}

TEST_F(TlsTest, RedirectToPlainHttpIsRefused) {
  HttpServer plain([](const Request& request) { return serve(request, "plain", ""); });
  elsewhere_ = plain.url("/x");
  setenv("SSL_CERT_FILE", authority_.c_str(), 1);
  expect_error([&] { fetch(server_->url("/moved")); }, FetchErrorKind::kRedirect, true,
               {"/moved", "never from https to http"});
  EXPECT_TRUE(plain.requests().empty());
}

TEST_F(TlsTest, RedirectFromHttpToHttpsIsFollowed) {
  HttpServer plain([this](const Request&) {
    Reply reply{301};
    reply.headers.push_back("Location: " + server_->url("/x"));
    return reply;
  });
  setenv("SSL_CERT_FILE", authority_.c_str(), 1);
  EXPECT_EQ(content_of(fetch(plain.url("/x"))), "hello");
}

}  // namespace
}  // namespace lctl::testing
