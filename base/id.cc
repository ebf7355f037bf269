#include "base/id.h"

#include <sys/random.h>

#include <array>

#include "base/check.h"

namespace lctl {

std::string random_id(int length) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  LCTL_CHECK(length > 0 && length <= 256, "an identifier has 1 to 256 characters");
  std::array<unsigned char, 256> bytes;
  const auto wanted = static_cast<std::size_t>(length);
  // getrandom() never returns fewer than asked for requests of up to 256 bytes.
  LCTL_CHECK(getrandom(bytes.data(), wanted, 0) == static_cast<ssize_t>(wanted),
             "the kernel's random source failed");
  std::string text;
  text.reserve(wanted);
  for (std::size_t i = 0; i < wanted; ++i) text.push_back(kAlphabet[bytes[i] & 31]);
  return text;
}

}  // namespace lctl
