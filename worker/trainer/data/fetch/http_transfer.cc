#include "worker/trainer/data/fetch/http_transfer.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <array>
#include <exception>
#include <filesystem>
#include <memory>

#include "base/check.h"
#include "base/version.h"
#include "worker/trainer/data/fetch/cache_root.h"
#include "worker/trainer/data/fetch/curl_library.h"

namespace lctl {
namespace {

constexpr int kPollMillis = 100;
constexpr long kBuffer = 256L << 10;

// libcurl's TLS writes to sockets that the server may have closed. Keeps the SIGPIPE of that from
// this thread.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    if (sigismember(&before_, SIGPIPE) == 0) {
      constexpr timespec kAtOnce = {};
      while (sigtimedwait(&pipe_, nullptr, &kAtOnce) > 0) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
};

// What libcurl's callbacks need. No exception may pass through libcurl.
struct Exchange {
  BodySink& sink;
  HttpResponse response;
  bool begun = false;
  bool unwanted = false;  // the sink does not want the body
  std::exception_ptr error;

  // false = end the transfer.
  bool take(std::string_view bytes) {
    try {
      if (!begun) {
        begun = true;
        unwanted = !sink.begin(response);
      }
      if (unwanted) return false;
      sink.write(bytes);
      return true;
    } catch (...) {
      error = std::current_exception();
      return false;
    }
  }
};

std::size_t on_header(char* line, std::size_t one, std::size_t size, void* exchange) {
  read_header_line({line, one * size}, static_cast<Exchange*>(exchange)->response);
  return one * size;
}

std::size_t on_body(char* bytes, std::size_t one, std::size_t size, void* exchange) {
  const bool more = static_cast<Exchange*>(exchange)->take({bytes, one * size});
  return more ? one * size : CURL_WRITEFUNC_ERROR;
}

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  LCTL_CHECK(curl_library().easy_setopt(handle, option, value) == CURLE_OK,
             "libcurl knows the options that are set");
}

// The variable that names other authorities than the system's; nullptr = none.
const char* authorities_variable() {
  for (const char* name : {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (!environment_variable(name).empty()) return name;
  }
  return nullptr;
}

void set_authorities(CURL* handle) {
  if (const char* name = authorities_variable()) {
    const std::string path = environment_variable(name);
    std::error_code ignored;  // libcurl says it when the file is not there
    set(handle, std::filesystem::is_directory(path, ignored) ? CURLOPT_CAPATH : CURLOPT_CAINFO,
        path.c_str());
  }
  if (const std::string folder = environment_variable("SSL_CERT_DIR"); !folder.empty())
    set(handle, CURLOPT_CAPATH, folder.c_str());
}

void set_options(CURL* handle, const HttpRequest& request, Exchange& exchange, curl_slist* headers,
                 char* error_text) {
  const bool https = request.url.size() > 5 && (request.url[4] == 's' || request.url[4] == 'S');
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
  set(handle, CURLOPT_FOLLOWLOCATION, 1L);
  set(handle, CURLOPT_MAXREDIRS, static_cast<long>(request.limits.redirects));
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.limits.connect.count()));
  set(handle, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.limits.stall_rate));
  set(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.limits.stall.count()));
  set(handle, CURLOPT_USERAGENT, fmt::format("lctl/{}", kVersion).c_str());
  set(handle, CURLOPT_HTTPHEADER, headers);
  set(handle, CURLOPT_HEADERFUNCTION, &on_header);
  set(handle, CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
  set(handle, CURLOPT_WRITEFUNCTION, &on_body);
  set(handle, CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
  set(handle, CURLOPT_ERRORBUFFER, error_text);
  set(handle, CURLOPT_BUFFERSIZE, kBuffer);
  set(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  // A name server that does not answer must not hold up a stop.
  set(handle, CURLOPT_QUICK_EXIT, 1L);
  set_authorities(handle);
}

TransferEnd::Failure failure_of(CURLcode code) {
  using Failure = TransferEnd::Failure;
  switch (code) {
    case CURLE_OK:
      return Failure::kNone;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
      return Failure::kCertificate;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Failure::kRedirect;
    case CURLE_URL_MALFORMAT:
      return Failure::kUrl;
    default:
      return Failure::kConnection;
  }
}

// Runs the handle to its end; nothing = stopped.
std::optional<CURLcode> run(const CurlLibrary& curl, CURLM* multi, CURL* handle,
                            const std::function<bool()>& stopped) {
  LCTL_CHECK(curl.multi_add_handle(multi, handle) == CURLM_OK, "a new handle can be added");
  std::optional<CURLcode> code;
  int running = 1;
  while (running > 0) {
    if (stopped && stopped()) break;
    if (curl.multi_perform(multi, &running) != CURLM_OK) {
      code = CURLE_OUT_OF_MEMORY;
      break;
    }
    if (running > 0) curl.multi_poll(multi, nullptr, 0, kPollMillis, nullptr);
  }
  int left = 0;
  while (CURLMsg* message = curl.multi_info_read(multi, &left)) {
    if (message->msg == CURLMSG_DONE) code = message->data.result;
  }
  curl.multi_remove_handle(multi, handle);
  return code;
}

}  // namespace

TransferEnd transfer(const HttpRequest& request, BodySink& sink) {
  const CurlLibrary& curl = curl_library();
  const NoSigpipe no_sigpipe;
  const std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi(curl.multi_init(), curl.multi_cleanup);
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl.easy_init(), curl.easy_cleanup);
  if (multi == nullptr || handle == nullptr) throw std::bad_alloc();

  // "identity": the file as it is, not as the server likes to compress it on the way.
  curl_slist* list = curl.slist_append(nullptr, "Accept-Encoding: identity");
  for (const std::string& header : request.headers) list = curl.slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(list, curl.slist_free_all);

  Exchange exchange{sink};
  std::array<char, CURL_ERROR_SIZE> error_text = {};
  set(handle.get(), CURLOPT_URL, request.url.c_str());
  set_options(handle.get(), request, exchange, headers.get(), error_text.data());
  const std::optional<CURLcode> code = run(curl, multi.get(), handle.get(), request.stopped);

  // An answer without a body has a begin, too.
  if (code == CURLE_OK && !exchange.begun && !exchange.error) exchange.take({});
  if (exchange.error) std::rethrow_exception(exchange.error);
  TransferEnd end;
  end.response = exchange.response;
  if (!code) {
    end.failure = TransferEnd::Failure::kStopped;
  } else if (!exchange.unwanted) {
    end.failure = failure_of(*code);
    end.reason = error_text[0] != '\0' ? error_text.data() : curl.easy_strerror(*code);
    const char* name = authorities_variable();
    if (end.failure == TransferEnd::Failure::kCertificate && name != nullptr)
      end.reason +=
          fmt::format(" (trusted are those in ${}, {})", name, environment_variable(name));
  }
  curl_off_t retry_after = 0;
  if (curl.easy_getinfo(handle.get(), CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
    end.retry_after = retry_after;
  return end;
}

}  // namespace lctl
