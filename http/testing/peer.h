// A client that sends bytes as it likes, for tests.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <string>
#include <utility>

namespace lctl::http {

// One connection to 127.0.0.1. Errors: boost::system::system_error. Thread rule: caller locks.
class Peer {
 public:
  explicit Peer(int port) : socket_(io_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(port)});
  }

  Peer& send(const std::string& bytes) {
    boost::asio::write(socket_, boost::asio::buffer(bytes));
    return *this;
  }

  // One response: head and, by its Content-Length, body.
  std::string receive(bool with_body = true) {
    boost::asio::read_until(socket_, boost::asio::dynamic_buffer(buffer_), "\r\n\r\n");
    const std::size_t head = buffer_.find("\r\n\r\n") + 4;
    std::size_t body = 0;
    if (const std::size_t at = buffer_.find("Content-Length: "); with_body && at < head) {
      body = static_cast<std::size_t>(std::stoul(buffer_.substr(at + 16)));
    }
    while (buffer_.size() < head + body) {
      boost::asio::read(socket_, boost::asio::dynamic_buffer(buffer_),
                        boost::asio::transfer_exactly(head + body - buffer_.size()));
    }
    const std::string response = buffer_.substr(0, head + body);
    buffer_.erase(0, head + body);
    return response;
  }

  // What comes until the other side closes.
  std::string receive_all() {
    boost::system::error_code end;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(buffer_), end);
    return std::exchange(buffer_, "");
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  std::string buffer_;
};

}  // namespace lctl::http
