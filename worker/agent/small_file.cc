#include "worker/agent/small_file.h"

#include <fstream>
#include <sstream>
#include <utility>

namespace lctl::agent {

std::string read_small_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();  // unlike istreambuf_iterator, does not throw when a process ends under /proc
  return std::move(text).str();
}

}  // namespace lctl::agent
