#include "http/connection.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/write.hpp>
#include <cctype>
#include <cstdint>
#include <limits>
#include <utility>
#include <variant>

#include "base/version.h"

namespace lctl::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;

// Read and thrown away before a connection is closed on an unread body: closing with unread bytes
// would make the kernel take back the response that says why.
constexpr std::size_t kMaxDiscarded = 1 << 20;
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::size_t kReadBytes = 64 << 10;

std::string text_of(beast::string_view text) { return {text.data(), text.size()}; }

std::string lower(beast::string_view text) {
  std::string result = text_of(text);
  for (char& letter : result) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return result;
}

// What to answer when a request cannot be read.
Response response_to(const beast::error_code& error, const Limits& limits) {
  if (error == bhttp::error::header_limit) {
    return error_response(
        431, "HEADER_TOO_LARGE",
        fmt::format("request line and headers may have {} bytes together", limits.header_bytes));
  }
  return error_response(400, "BAD_REQUEST",
                        fmt::format("this is not an HTTP/1.1 request: {}", error.message()));
}

}  // namespace

Connection::Connection(boost::asio::ip::tcp::socket socket, const Surroundings& surroundings)
    : around_(surroundings),
      stream_(std::move(socket)),
      buffer_(around_.limits.header_bytes + kReadBytes) {}

Connection::~Connection() { around_.on_closed(this); }

void Connection::run() { read_head(); }

void Connection::turn_away() {
  write(error_response(503, "TEMPORARILY_UNAVAILABLE",
                       fmt::format("{} connections are open already, the most that this server "
                                   "takes; try again later",
                                   around_.limits.connections)),
        /*close_after=*/true);
}

void Connection::finish() {
  finishing_ = true;
  if (!answering_) abort();
}

void Connection::abort() { stream_.close(); }

void Connection::read_head() {
  parser_.emplace();
  asked_.reset();
  match_.reset();
  upload_parser_.reset();
  upload_.reset();
  piece_ = {};
  parser_->header_limit(around_.limits.header_bytes);
  // The route's bound takes its place once it is known. (With boost::none this Beast refuses all.)
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
  stream_.expires_after(std::exchange(first_, false) ? around_.limits.header_time
                                                     : around_.limits.idle_time);
  bhttp::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const Error& error, std::size_t) { self->on_head(error); });
}

void Connection::refuse(const Error& error) {
  // Ended, broken or timed out: nobody is left to be told.
  if (error.category() != bhttp::make_error_code(bhttp::error::end_of_stream).category() ||
      error == bhttp::error::end_of_stream || error == bhttp::error::partial_message) {
    abort();
    return;
  }
  Response response = response_to(error, around_.limits);
  around_.router.count_refused(response.status);
  write(std::move(response), /*close_after=*/true);
}

void Connection::on_head(const Error& error) {
  if (error) return refuse(error);
  const auto& request = parser_->get();
  asked_ = Asked{.version = request.version(),
                 .head_only = request.method() == bhttp::verb::head,
                 .keep_alive = parser_->keep_alive(),
                 .expects_continue = beast::iequals(request[bhttp::field::expect], "100-continue")};
  if (request.version() >= 11 && request.count(bhttp::field::host) != 1) {
    Response response =
        error_response(400, "BAD_REQUEST", "an HTTP/1.1 request has exactly one Host header");
    around_.router.count_refused(response.status);
    return write(std::move(response), /*close_after=*/true);
  }
  auto found = around_.router.find(
      {.method = text_of(request.method_string()), .target = text_of(request.target())});
  // With a body behind it that nobody reads, the connection cannot be used again.
  const bool has_body = parser_->chunked() || parser_->content_length().value_or(0) > 0;
  if (auto* refusal = std::get_if<Response>(&found)) {
    return write(std::move(*refusal), /*close_after=*/has_body);
  }
  match_.emplace(std::get<Router::Match>(std::move(found)));
  const std::uint64_t limit = match_->max_body_bytes();
  if (parser_->content_length().value_or(0) > limit) return refuse_large_body();
  parser_->body_limit(limit);
  if (match_->takes_upload()) return begin_upload(has_body);
  confirm(&Connection::read_body);
}

// Tells a peer that waits for it to send its body.
void Connection::confirm(void (Connection::*then)()) {
  if (!asked_->expects_continue) return (this->*then)();
  interim_ = {};
  interim_.result(bhttp::status::continue_);
  stream_.expires_after(around_.limits.write_time);
  bhttp::async_write(stream_, interim_,
                     [self = shared_from_this(), then](const Error& error, std::size_t) {
                       if (error) return self->abort();
                       ((*self).*then)();
                     });
}

void Connection::read_body() {
  if (parser_->is_done()) return answer();
  stream_.expires_after(around_.limits.body_time);
  bhttp::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const Error& error, std::size_t) { self->on_body(error); });
}

void Connection::refuse_large_body() {
  const std::uint64_t limit = match_->max_body_bytes();
  around_.router.count_refused(413);
  write(
      error_response(
          413, "REQUEST_TOO_LARGE",
          limit == 0 ? std::string("a request of this kind has no body; send it without one")
                     : fmt::format("the body of this request may have {} bytes; send less at once",
                                   limit)),
      /*close_after=*/true);
}

void Connection::on_body(const Error& error) {
  if (error == bhttp::error::body_limit) return refuse_large_body();
  if (error) return refuse(error);
  answer();
}

std::map<std::string, std::string> Connection::headers() const {
  std::map<std::string, std::string> all;
  for (const auto& field : parser_->get()) {
    const auto [place, first] = all.emplace(lower(field.name_string()), text_of(field.value()));
    if (!first) place->second += ", " + text_of(field.value());
  }
  return all;
}

void Connection::answer() {
  answering_ = true;
  stream_.expires_never();  // the time is the handler's now
  boost::asio::post(
      around_.handlers, [self = shared_from_this(), match = *std::exchange(match_, std::nullopt),
                         headers = headers(), body = std::move(parser_->get().body())]() mutable {
        Response response =
            self->around_.router.respond(std::move(match), std::move(headers), std::move(body));
        boost::asio::io_context& io = self->around_.io;
        boost::asio::post(io, [self = std::move(self), response = std::move(response)]() mutable {
          self->write(std::move(response), /*close_after=*/false);
        });
      });
}

void Connection::write(Response response, bool close_after) {
  answering_ = true;
  message_ = {};
  message_.result(static_cast<unsigned>(response.status));
  message_.version(asked_ ? asked_->version : 11);
  message_.set(bhttp::field::server, fmt::format("lctl/{}", kVersion));
  message_.set(bhttp::field::content_type, response.content_type);
  message_.set(bhttp::field::cache_control, "no-store");
  message_.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message_.set(name, value);
  message_.body() = std::move(response.body);
  message_.prepare_payload();
  if (response.stream) message_.content_length(response.stream->size);
  message_.keep_alive(!close_after && !finishing_ && asked_ && asked_->keep_alive);

  serializer_.emplace(message_);
  outgoing_ = std::move(response.stream);
  if (outgoing_ && !asked_->head_only) return write_stream();
  stream_.expires_after(around_.limits.write_time);
  const auto done = [self = shared_from_this()](const Error& error, std::size_t) {
    self->on_written(error);
  };
  if (asked_ && asked_->head_only) {
    bhttp::async_write_header(stream_, *serializer_, done);
  } else {
    bhttp::async_write(stream_, *serializer_, done);
  }
}

void Connection::on_written(const Error& error) {
  answering_ = false;
  if (error) return abort();
  if (message_.keep_alive() && !finishing_) return read_head();
  Error ignored;
  stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.expires_after(kLingerTime);
  linger();
}

// Until the peer closes too, for a while.
void Connection::linger() {
  if (finishing_ || discarded_ > kMaxDiscarded) return abort();
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](const Error& error, std::size_t bytes) {
                            if (error) return self->abort();
                            self->discarded_ += bytes;
                            self->linger();
                          });
}

}  // namespace lctl::http
