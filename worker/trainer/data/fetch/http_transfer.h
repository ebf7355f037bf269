// One request to a server and its answer, over libcurl.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/data/fetch/http_response.h"

namespace lctl {

struct HttpLimits {
  std::chrono::milliseconds connect{30000};
  std::chrono::seconds stall{60};  // this long below `stall_rate`: given up
  int stall_rate = 1024;           // bytes a second
  int redirects = 10;
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  HttpLimits limits;
  std::function<bool()> stopped;  // asked several times a second; empty = never
};

// Takes the body of an answer. What it throws ends the transfer and comes out of transfer().
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Of the last answer, redirects followed. false = the body is of no use.
  virtual bool begin(const HttpResponse& response) = 0;
  virtual void write(std::string_view bytes) = 0;
};

struct TransferEnd {
  enum class Failure {
    kNone,         // the answer came to its end, or its sink did not want the body
    kConnection,   // no connection, a broken one, a stalled one: another try may do
    kCertificate,  // not trusted
    kRedirect,     // too many, or to a scheme that is not allowed
    kUrl,          // libcurl does not understand it
    kStopped,
  };
  Failure failure = Failure::kNone;
  std::string reason;            // of a failure
  HttpResponse response;         // status 0: there was none
  std::int64_t retry_after = 0;  // seconds, as the server asks
};

// A GET. Proxies come from the environment (http_proxy, https_proxy, all_proxy, no_proxy), and so
// do other certificate authorities than the system's: CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE,
// SSL_CERT_FILE (the first that is set; a file or a folder) and SSL_CERT_DIR. Bodies are not
// decoded: a .csv.gz stays one. From https, only redirects to https are followed. Throws FetchError
// when libcurl is not there. Any thread.
TransferEnd transfer(const HttpRequest& request, BodySink& sink);

}  // namespace lctl
