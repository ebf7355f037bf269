#include "worker/trainer/data/fetch/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/check.h"
#include "worker/trainer/data/fetch/durable_file.h"

namespace lctl {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  LCTL_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
             "OpenSSL has SHA-256");
}

void Sha256::update(std::string_view bytes) {
  LCTL_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
             "hashing memory cannot fail");
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  LCTL_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1, "hashing memory cannot fail");
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

bool add_file(Sha256& hash, int fd, const std::string& name, const std::function<bool()>& stopped) {
  std::vector<char> piece(kPiece);
  off_t offset = 0;
  while (true) {
    if (stopped && stopped()) return false;
    const ssize_t got = pread(fd, piece.data(), piece.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + name);
    if (got == 0) return true;
    hash.update({piece.data(), static_cast<std::size_t>(got)});
    offset += got;
  }
}

}  // namespace lctl
