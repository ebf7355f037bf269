#include "worker/trainer/loggers/wandb/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace lctl::wandb {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

// Thread rule: one strand only.
class Digest {
 public:
  explicit Digest(const char* algorithm) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    const EVP_MD* kind = EVP_get_digestbyname(algorithm);
    if (kind == nullptr || context_ == nullptr ||
        EVP_DigestInit_ex(context_.get(), kind, nullptr) != 1) {
      throw std::runtime_error(fmt::format(
          "WandbLogger: OpenSSL has no {} here; train without log_model and watch", algorithm));
    }
  }

  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

  std::string bytes() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    return {reinterpret_cast<const char*>(digest.data()), size};
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string digest_of(const char* algorithm, std::string_view text) {
  Digest digest(algorithm);
  digest.add(text);
  return digest.bytes();
}

std::string digest_of_file(const char* algorithm, const std::filesystem::path& file) {
  Digest digest(algorithm);
  std::ifstream in(file, std::ios::binary);
  std::vector<char> piece(kPieceBytes);
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0)
    digest.add({piece.data(), static_cast<std::size_t>(in.gcount())});
  if (!in.eof()) {
    throw std::system_error(errno, std::generic_category(),
                            fmt::format("WandbLogger: reading {}", file.string()));
  }
  return digest.bytes();
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends it with a zero
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace lctl::wandb
