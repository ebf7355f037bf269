// SHA-256 of files and of texts.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace lctl {

// Of bytes that come in pieces. Thread rule: caller locks.
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  std::string hex();  // 64 lower-case digits; ends the hash

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

std::string sha256_of(std::string_view text);

// Adds an open file, from its beginning to its end. false = `stopped` said so. Throws
// std::system_error with `name`.
bool add_file(Sha256& hash, int fd, const std::string& name, const std::function<bool()>& stopped);

}  // namespace lctl
