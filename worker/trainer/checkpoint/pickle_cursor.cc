#include "worker/trainer/checkpoint/pickle_cursor.h"

#include <bit>

#include "worker/trainer/checkpoint/pickle_reader.h"

namespace lctl::checkpoint {

void PickleCursor::fail(const std::string& why) const { throw PickleError(why, instruction_at_); }

char PickleCursor::begin_instruction() {
  instruction_at_ = at_;
  return take(1)[0];
}

std::string_view PickleCursor::take(std::size_t size) {
  if (size > bytes_.size() - at_) fail("the data ends in the middle of an item");
  const std::string_view taken = bytes_.substr(at_, size);
  at_ += size;
  return taken;
}

std::uint64_t PickleCursor::take_little_endian(int size) {
  std::uint64_t value = 0;
  int shift = 0;
  for (const char byte : take(static_cast<std::size_t>(size))) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(byte)) << shift;
    shift += 8;
  }
  return value;
}

std::string PickleCursor::take_line() {
  const std::size_t end = bytes_.find('\n', at_);
  if (end == std::string_view::npos || end - at_ > 256) fail("a name is not terminated");
  std::string line(bytes_.substr(at_, end - at_));
  at_ = end + 1;
  return line;
}

double PickleCursor::take_double() {
  std::uint64_t bits = 0;
  for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
  return std::bit_cast<double>(bits);
}

std::int64_t PickleCursor::take_long1() {
  const auto size = static_cast<std::size_t>(take_little_endian(1));
  const std::string_view digits = take(size);
  if (size == 0) return 0;
  const bool negative = (static_cast<unsigned char>(digits.back()) & 0x80) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(digits[i]);
    if (i >= 8) {
      if (byte != (negative ? 0xff : 0)) fail("an integer beyond 64 bits");
      continue;
    }
    value &= ~(std::uint64_t{0xff} << (8 * i));
    value |= std::uint64_t{byte} << (8 * i);
  }
  const auto result = static_cast<std::int64_t>(value);
  if ((result < 0) != negative) fail("an integer beyond 64 bits");
  return result;
}

}  // namespace lctl::checkpoint
