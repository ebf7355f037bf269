// Bodies in pieces, both ways.
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>
#include <variant>

#include "base/log.h"
#include "base/status.h"
#include "http/connection.h"

namespace lctl::http {
namespace {

namespace bhttp = boost::beast::http;

constexpr std::size_t kPieceBytes = 1 << 20;

}  // namespace

// --- a request's body ---

void Connection::begin_upload(bool has_body) {
  answering_ = true;
  stream_.expires_never();  // the time is the handler's now
  boost::asio::post(around_.handlers, [self = shared_from_this(), headers = headers(),
                                       has_body]() mutable {
    auto begun = self->around_.router.begin(*self->match_, std::move(headers));
    boost::asio::io_context& io = self->around_.io;
    boost::asio::post(io, [self = std::move(self), begun = std::move(begun), has_body]() mutable {
      if (auto* refusal = std::get_if<Response>(&begun)) {
        return self->write(std::move(*refusal), /*close_after=*/has_body);
      }
      self->upload_ = std::get<std::unique_ptr<Upload>>(std::move(begun));
      const std::uint64_t limit = self->match_->max_body_bytes();
      self->upload_parser_.emplace(std::move(*self->parser_));
      self->upload_parser_->body_limit(limit);
      self->piece_.resize(kPieceBytes);
      self->confirm(&Connection::read_piece);
    });
  });
}

void Connection::read_piece() {
  if (upload_parser_->is_done()) return hand_over(0);
  auto& body = upload_parser_->get().body();
  body.data = piece_.data();
  body.size = piece_.size();
  body.more = true;
  stream_.expires_after(around_.limits.body_time);
  bhttp::async_read(
      stream_, buffer_, *upload_parser_,
      [self = shared_from_this()](const Error& error, std::size_t) { self->on_piece(error); });
}

void Connection::on_piece(const Error& error) {
  if (error == bhttp::error::body_limit) return refuse_large_body();
  // need_buffer: the piece is full.
  if (error && error != bhttp::error::need_buffer) return refuse(error);
  hand_over(piece_.size() - upload_parser_->get().body().size);
}

// Gives the handler the first bytes of piece_, and lets it answer when they were the last.
void Connection::hand_over(std::size_t bytes) {
  stream_.expires_never();
  boost::asio::post(around_.handlers, [self = shared_from_this(), bytes]() mutable {
    const bool last = self->upload_parser_->is_done();
    const Router& router = self->around_.router;
    std::optional<Response> response;
    if (bytes > 0) {
      response = router.take(*self->match_, *self->upload_, {self->piece_.data(), bytes});
    }
    if (!response && last) response = router.finish(*self->match_, *self->upload_);
    boost::asio::io_context& io = self->around_.io;
    boost::asio::post(io, [self = std::move(self), response = std::move(response), last]() mutable {
      if (!response) return self->read_piece();
      self->upload_.reset();
      self->write(*std::move(response), /*close_after=*/!last);
    });
  });
}

// --- a response's body ---

void Connection::write_stream() {
  sent_ = 0;
  stream_.expires_after(around_.limits.write_time);
  bhttp::async_write_header(stream_, *serializer_,
                            [self = shared_from_this()](const Error& error, std::size_t) {
                              if (error) return self->abort();
                              self->make_piece();
                            });
}

void Connection::make_piece() {
  if (sent_ == outgoing_->size) {
    outgoing_.reset();
    return on_written({});
  }
  stream_.expires_never();
  boost::asio::post(around_.handlers, [self = shared_from_this()]() mutable {
    absl::StatusOr<std::string> piece = absl::InternalError("the handler threw");
    try {
      piece = self->outgoing_->next();
    } catch (const std::exception& error) {
      piece = absl::InternalError(error.what());
    }
    boost::asio::io_context& io = self->around_.io;
    boost::asio::post(io, [self = std::move(self), piece = std::move(piece)]() mutable {
      if (piece.ok()) return self->write_piece(*std::move(piece));
      logger("http").error("a response breaks off: {}", message_of(piece.status()));
      self->abort();
    });
  });
}

void Connection::write_piece(std::string piece) {
  if (piece.empty() || piece.size() > outgoing_->size - sent_) {
    logger("http").error("a response breaks off: its parts do not make {} bytes", outgoing_->size);
    return abort();
  }
  sending_ = std::move(piece);
  stream_.expires_after(around_.limits.write_time);
  boost::asio::async_write(stream_, boost::asio::buffer(sending_),
                           [self = shared_from_this()](const Error& error, std::size_t bytes) {
                             if (error) return self->abort();
                             self->sent_ += bytes;
                             self->sending_ = {};
                             self->make_piece();
                           });
}

}  // namespace lctl::http
