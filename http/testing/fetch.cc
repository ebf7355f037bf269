#include "http/testing/fetch.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace lctl::http {

std::string fetch(const std::string& address, const std::string& target) {
  using boost::asio::ip::tcp;
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return "no port in the address '" + address + "'";
  boost::asio::io_context io;
  tcp::socket socket(io);
  boost::system::error_code error;
  socket.connect(tcp::endpoint(boost::asio::ip::make_address(address.substr(0, colon), error),
                               static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1)))),
                 error);
  if (error) return "cannot connect to " + address + ": " + error.message();
  const std::string request =
      "GET " + target + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(request), error);
  std::string response;
  boost::asio::read(socket, boost::asio::dynamic_buffer(response), error);  // until its end
  return response;
}

}  // namespace lctl::http
