#include "worker/trainer/data/fetch/testing/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/descriptor.h"

namespace lctl::testing {
namespace {

// Bytes to and from one client, with or without TLS.
class Stream {
 public:
  Stream(int fd, SSL_CTX* context) : fd_(fd) {
    if (context == nullptr) return;
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd);
    ok_ = SSL_accept(ssl_) == 1;
  }
  ~Stream() {
    if (ssl_ != nullptr) SSL_free(ssl_);
    ERR_clear_error();
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool ok() const { return ok_; }

  std::string read_head() {
    std::string head;
    char c = 0;
    while (head.size() < 65536 && head.find("\r\n\r\n") == std::string::npos) {
      const auto got = ssl_ != nullptr ? SSL_read(ssl_, &c, 1) : recv(fd_.get(), &c, 1, 0);
      if (got <= 0) return "";
      head += c;
    }
    return head;
  }

  bool write(const std::string& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const char* next = bytes.data() + done;
      const std::size_t size = std::min<std::size_t>(bytes.size() - done, 1 << 16);
      const auto wrote = ssl_ != nullptr ? SSL_write(ssl_, next, static_cast<int>(size))
                                         : send(fd_.get(), next, size, MSG_NOSIGNAL);
      if (wrote <= 0) return false;
      done += static_cast<std::size_t>(wrote);
    }
    return true;
  }

  void close() {
    if (ssl_ != nullptr) SSL_shutdown(ssl_);
    shutdown(fd_.get(), SHUT_WR);
    char rest[256];
    while (ssl_ == nullptr && recv(fd_.get(), rest, sizeof(rest), 0) > 0) {
    }
  }

  // As a crashed server's kernel does.
  void reset() {
    const linger at_once = {1, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }

 private:
  Descriptor fd_;
  SSL* ssl_ = nullptr;
  bool ok_ = true;
};

Request parse(const std::string& head) {
  Request request;
  const std::size_t first = head.find(' ');
  request.path = head.substr(first + 1, head.find(' ', first + 1) - first - 1);
  std::size_t line = head.find("\r\n") + 2;
  for (std::size_t end; (end = head.find("\r\n", line)) != std::string::npos && end != line;
       line = end + 2) {
    const std::size_t colon = head.find(':', line);
    std::string name = head.substr(line, colon - line);
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return std::tolower(c); });
    request.headers[name] = head.substr(colon + 2, end - colon - 2);
  }
  return request;
}

}  // namespace

struct HttpServer::State {
  std::function<Reply(const Request&)> answer;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> tls{nullptr, SSL_CTX_free};
  Descriptor listener;
  int port = 0;
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;
  std::vector<Request> requests;
  std::vector<std::thread> threads;  // of connections; touched by `accepting` until it has ended
  std::thread accepting;

  void accept_all() {
    while (!stopping) {
      pollfd waiting = {listener.get(), POLLIN, 0};
      if (poll(&waiting, 1, 50) <= 0) continue;
      const int fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) threads.emplace_back([this, fd] { serve_one(fd); });
    }
  }

  void serve_one(int fd) {
    // Of this thread only: whether fetching keeps SIGPIPE away is for the test to see.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    const timeval patience = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    Stream stream(fd, tls.get());
    if (!stream.ok()) return;
    const std::string head = stream.read_head();
    if (head.empty()) return;
    const Request request = parse(head);
    {
      const std::lock_guard lock(mutex);
      requests.push_back(request);
    }
    const Reply reply = answer(request);
    std::string text = fmt::format("HTTP/1.1 {} Text\r\nConnection: close\r\n", reply.status);
    for (const std::string& header : reply.headers) text += header + "\r\n";
    if (reply.with_length && reply.status != 304)
      text += fmt::format("Content-Length: {}\r\n", reply.body.size());
    stream.write(text + "\r\n");
    stream.write(reply.body.substr(0, reply.cut_after.value_or(reply.body.size())));
    for (auto left = reply.stall; left.count() > 0 && !stopping;
         left -= std::chrono::milliseconds(20)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (reply.cut_after) {
      // What was sent must arrive before the reset discards it.
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      stream.reset();
    } else {
      stream.close();
    }
  }
};

HttpServer::HttpServer(std::function<Reply(const Request&)> answer, std::optional<Certificate> tls)
    : state_(std::make_unique<State>()) {
  state_->answer = std::move(answer);
  if (tls) {
    state_->tls.reset(SSL_CTX_new(TLS_server_method()));
    const std::unique_ptr<BIO, int (*)(BIO*)> certificate(
        BIO_new_mem_buf(tls->certificate.data(), static_cast<int>(tls->certificate.size())),
        BIO_free);
    const std::unique_ptr<BIO, int (*)(BIO*)> key(
        BIO_new_mem_buf(tls->key.data(), static_cast<int>(tls->key.size())), BIO_free);
    X509* x509 = PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr);
    EVP_PKEY* pkey = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
    if (SSL_CTX_use_certificate(state_->tls.get(), x509) != 1 ||
        SSL_CTX_use_PrivateKey(state_->tls.get(), pkey) != 1)
      throw std::runtime_error("the certificate cannot be used");
    X509_free(x509);
    EVP_PKEY_free(pkey);
  }
  state_->listener = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(state_->listener.get(), generic, size) != 0 || listen(state_->listener.get(), 64) != 0 ||
      getsockname(state_->listener.get(), generic, &size) != 0)
    throw std::runtime_error("no port to listen on");
  state_->port = ntohs(address.sin_port);
  state_->accepting = std::thread([state = state_.get()] { state->accept_all(); });
}

HttpServer::~HttpServer() {
  state_->stopping = true;
  state_->accepting.join();
  for (std::thread& thread : state_->threads) thread.join();
}

std::string HttpServer::url(const std::string& path) const {
  return fmt::format("{}://127.0.0.1:{}{}", state_->tls ? "https" : "http", state_->port, path);
}

std::vector<Request> HttpServer::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requests;
}

std::string Request::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

Reply serve(const Request& request, const std::string& content, const std::string& etag) {
  Reply reply;
  if (!etag.empty()) reply.headers.push_back("ETag: " + etag);
  if (!etag.empty() && request.header("if-none-match") == etag) {
    reply.status = 304;
    return reply;
  }
  const std::string range = request.header("range");
  const std::string condition = request.header("if-range");
  if (range.empty() || (!condition.empty() && condition != etag)) {
    reply.body = content;
    return reply;
  }
  const std::size_t first = std::stoul(range.substr(std::string("bytes=").size()));
  if (first >= content.size()) {
    reply.status = 416;
    return reply;
  }
  reply.status = 206;
  reply.headers.push_back(
      fmt::format("Content-Range: bytes {}-{}/{}", first, content.size() - 1, content.size()));
  reply.body = content.substr(first);
  return reply;
}

}  // namespace lctl::testing
