// The bytes of a pickle, taken from front to back, each read checked against their end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lctl::checkpoint {

// All functions throw PickleError, at the instruction that was begun last.
// Thread rule: caller locks.
class PickleCursor {
 public:
  explicit PickleCursor(std::string_view bytes) : bytes_(bytes) {}

  // The next instruction.
  char begin_instruction();

  std::string_view take(std::size_t size);
  std::uint64_t take_little_endian(int size);
  // A line of a GLOBAL, of at most 256 bytes.
  std::string take_line();
  // Big endian, as BINFLOAT has it.
  double take_double();
  // LONG1: two's complement with its length before it; at most 64 bits.
  std::int64_t take_long1();

  std::size_t size() const { return bytes_.size(); }
  [[noreturn]] void fail(const std::string& why) const;

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t instruction_at_ = 0;
};

}  // namespace lctl::checkpoint
