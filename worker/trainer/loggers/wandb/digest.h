// Checksums of what a run refers to.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace lctl::wandb {

// Raw bytes of it. `algorithm` is OpenSSL's name: "MD5", "SHA256". Throws std::runtime_error when
// OpenSSL has it not (a FIPS build without MD5).
std::string digest_of(const char* algorithm, std::string_view text);
// Reads the file in pieces. Throws std::system_error that names it.
std::string digest_of_file(const char* algorithm, const std::filesystem::path& file);

std::string hex(std::string_view bytes);  // lower-case
std::string base64(std::string_view bytes);

}  // namespace lctl::wandb
