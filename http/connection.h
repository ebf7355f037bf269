// One connection of an HttpServer. Only server.cc and connection.cc know Boost.Beast.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/router.h"
#include "http/server.h"

namespace lctl::http {

// Reads a request's head, finds its route, reads the body within the route's bound, runs the
// handler on `handlers`, writes the response, and begins anew. Bodies that come or go in pieces
// (connection_streams.cc): while a piece is read or written no handler's thread waits for it, and
// while a handler has a piece nothing is read, so a body costs two pieces of memory.
//
// It lives as long as an operation of it is pending. Thread rule: one strand only, that of `io`.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Surroundings {
    boost::asio::io_context& io;
    boost::asio::thread_pool& handlers;
    const Router& router;
    const Limits& limits;
    std::function<void(Connection*)> on_closed;  // from the destructor
  };

  Connection(boost::asio::ip::tcp::socket socket, const Surroundings& surroundings);
  ~Connection();

  void run();

  // Answers 503 and closes, whatever the peer wants.
  void turn_away();

  // Closes now, or behind the request that is being answered.
  void finish();

  // Closes at once.
  void abort();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Message = boost::beast::http::response<boost::beast::http::string_body>;
  using Error = boost::beast::error_code;

  // What is still needed of a request's head when its response is written.
  struct Asked {
    unsigned version = 11;
    bool head_only = false;  // HEAD
    bool keep_alive = false;
    bool expects_continue = false;
  };

  void read_head();
  void on_head(const Error& error);
  void confirm(void (Connection::*then)());
  void read_body();
  void on_body(const Error& error);
  void answer();
  void refuse(const Error& error);
  void refuse_large_body();
  void write(Response response, bool close_after);
  void on_written(const Error& error);
  void linger();

  void begin_upload(bool has_body);
  void read_piece();
  void on_piece(const Error& error);
  void hand_over(std::size_t bytes);
  void write_stream();
  void make_piece();
  void write_piece(std::string piece);
  std::map<std::string, std::string> headers() const;

  const Surroundings around_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;

  // Of the request that is read or answered now.
  std::optional<Asked> asked_;
  std::optional<Parser> parser_;
  std::optional<Router::Match> match_;
  boost::beast::http::response<boost::beast::http::empty_body> interim_;
  Message message_;
  std::optional<boost::beast::http::response_serializer<boost::beast::http::string_body>>
      serializer_;
  // Of a request whose body comes in pieces.
  std::optional<boost::beast::http::request_parser<boost::beast::http::buffer_body>> upload_parser_;
  std::unique_ptr<Upload> upload_;
  std::vector<char> piece_;
  // Of a response whose body goes in pieces.
  std::optional<BodyStream> outgoing_;
  std::string sending_;
  std::uint64_t sent_ = 0;

  bool answering_ = false;  // its response is being made or written
  bool finishing_ = false;
  bool first_ = true;
  std::size_t discarded_ = 0;
};

}  // namespace lctl::http
