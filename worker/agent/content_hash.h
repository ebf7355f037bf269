// Hashes of checkpoint files and their chunks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_md_ctx_st;

namespace lctl::agent {

// SHA-256 of bytes that come in pieces. Thread rule: caller locks.
class ContentHash {
 public:
  ContentHash();
  void update(std::string_view bytes);
  std::string hex();  // 64 lower-case digits; ends the hash

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

// Up to `size` bytes of an open file; fewer only where it ends. `name` is for the error.
absl::StatusOr<std::string> read_at(int fd, std::uint64_t offset, std::size_t size,
                                    const std::filesystem::path& name);

}  // namespace lctl::agent
