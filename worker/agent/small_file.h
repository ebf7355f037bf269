// Reading small files, those of /proc among them.
#pragma once

#include <filesystem>
#include <string>

namespace lctl::agent {

// All of it; "" when it cannot be read, and what there was when its process ends meanwhile. Any
// thread.
std::string read_small_file(const std::filesystem::path& file);

}  // namespace lctl::agent
