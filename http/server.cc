#include "http/server.h"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "http/connection.h"

namespace lctl::http {
namespace {

using boost::asio::ip::tcp;
using Error = boost::system::error_code;

constexpr int kBacklog = 128;
constexpr std::chrono::milliseconds kAcceptPause{100};  // when no connection can be taken

}  // namespace

// What the server is made of; the strand is the one thread of io_.
class HttpServer::Core {
 public:
  explicit Core(const Options& options)
      : options_(options),
        acceptor_(io_),
        retry_(io_),
        work_(boost::asio::make_work_guard(io_)),
        handlers_(static_cast<std::size_t>(options.handler_threads)) {}

  absl::Status listen();
  void run();
  void stop();

  int port() const { return port_; }

 private:
  void accept();
  void on_accepted(const Error& error, tcp::socket socket);
  void closed(Connection* connection);

  const Options options_;
  int port_ = 0;
  bool stopped_ = false;

  std::mutex mutex_;
  // Guarded by mutex_ (the last connections end with io_).
  std::condition_variable all_closed_;
  std::set<Connection*> connections_;

  // After what connections use until their end: those that are left end with it.
  boost::asio::io_context io_{1};
  tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::thread_pool handlers_;
  std::thread strand_;
};

absl::Status HttpServer::Core::listen() {
  const auto failed = [&](const Error& error) {
    return absl::UnavailableError(
        fmt::format("cannot listen on {} port {}: {}; another program may use that port, or the "
                    "host is not of this machine",
                    options_.host, options_.port, error.message()));
  };
  Error error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(options_.host, std::to_string(options_.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error) return failed(error);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kBacklog, error);
  if (!error) port_ = acceptor_.local_endpoint(error).port();
  return error ? failed(error) : absl::OkStatus();
}

void HttpServer::Core::run() {
  accept();
  strand_ = std::thread([this] { io_.run(); });
}

void HttpServer::Core::accept() {
  acceptor_.async_accept(
      [this](const Error& error, tcp::socket socket) { on_accepted(error, std::move(socket)); });
}

void HttpServer::Core::on_accepted(const Error& error, tcp::socket socket) {
  if (!acceptor_.is_open()) return;
  if (error) {
    // Out of file descriptors, say: those that wait go on waiting.
    logger("http").warn("cannot take a connection: {}; trying again", error.message());
    retry_.expires_after(kAcceptPause);
    retry_.async_wait([this](const Error& cancelled) {
      if (!cancelled && acceptor_.is_open()) accept();
    });
    return;
  }
  options_.connections.accepted_.fetch_add(1, std::memory_order_relaxed);
  const auto limit = static_cast<std::uint64_t>(options_.limits.connections);
  const std::uint64_t open = options_.connections.open_.load(std::memory_order_relaxed);
  if (open >= limit) options_.connections.refused_.fetch_add(1, std::memory_order_relaxed);
  // Those that are turned away count too while they are told so, up to as many again.
  if (open < 2 * limit) {
    const auto connection = std::make_shared<Connection>(
        std::move(socket),
        Connection::Surroundings{.io = io_,
                                 .handlers = handlers_,
                                 .router = options_.router,
                                 .limits = options_.limits,
                                 .on_closed = [this](Connection* ended) { closed(ended); }});
    {
      const std::lock_guard lock(mutex_);
      connections_.insert(connection.get());
    }
    options_.connections.open_.fetch_add(1, std::memory_order_relaxed);
    open < limit ? connection->run() : connection->turn_away();
  }
  accept();
}

void HttpServer::Core::closed(Connection* connection) {
  options_.connections.open_.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  connections_.erase(connection);
  if (connections_.empty()) all_closed_.notify_all();
}

void HttpServer::Core::stop() {
  if (std::exchange(stopped_, true)) return;
  if (!strand_.joinable()) return;
  const auto each = [this](auto&& act) {
    boost::asio::post(io_, [this, act] {
      // A copy of pointers is safe here: connections end on this thread, or wait for the lock.
      std::vector<std::shared_ptr<Connection>> all;
      {
        const std::lock_guard lock(mutex_);
        for (Connection* connection : connections_) {
          if (auto alive = connection->weak_from_this().lock()) all.push_back(std::move(alive));
        }
      }
      for (const auto& connection : all) act(*connection);
    });
  };
  boost::asio::post(io_, [this] {
    Error ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  });
  each([](Connection& connection) { connection.finish(); });
  {
    std::unique_lock lock(mutex_);
    all_closed_.wait_for(lock, options_.limits.stop_grace, [&] { return connections_.empty(); });
  }
  each([](Connection& connection) { connection.abort(); });
  handlers_.join();
  work_.reset();
  io_.stop();
  strand_.join();
}

HttpServer::HttpServer(std::unique_ptr<Core> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() { stop(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(Options options) {
  auto core = std::make_unique<Core>(options);
  LCTL_RETURN_IF_ERROR(core->listen());
  core->run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

void HttpServer::stop() { core_->stop(); }

int HttpServer::port() const { return core_->port(); }

}  // namespace lctl::http
