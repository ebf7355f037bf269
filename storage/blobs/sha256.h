// SHA-256 of bytes that come in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace lctl::storage {

// Thread rule: caller locks.
class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void update(std::string_view bytes);

  // 32 bytes; once, after the last update().
  std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// 32 bytes.
std::string sha256_of(std::string_view bytes);

// 64 lower-case hex digits from 32 bytes (any bytes, two digits each).
std::string to_hex(std::string_view bytes);

// 64 lower-case hex digits → 32 bytes; "" for anything else.
std::string parse_sha256(std::string_view hex);

}  // namespace lctl::storage
