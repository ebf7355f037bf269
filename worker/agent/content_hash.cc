#include "worker/agent/content_hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace lctl::agent {

ContentHash::ContentHash() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  LCTL_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
             "OpenSSL has SHA-256");
}

void ContentHash::update(std::string_view bytes) {
  LCTL_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
             "hashing memory cannot fail");
}

std::string ContentHash::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  LCTL_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1, "hashing memory cannot fail");
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

absl::StatusOr<std::string> read_at(int fd, std::uint64_t offset, std::size_t size,
                                    const std::filesystem::path& name) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno != EINTR)
      return errno_status(errno, fmt::format("reading {}", name.string()));
    if (got == 0) break;
    done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace lctl::agent
