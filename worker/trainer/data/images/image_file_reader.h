// An image file in memory, whole, in one read. (A mapping would cost more than the copy, and end
// the process where the file becomes shorter meanwhile.)
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lctl {

// The memory is kept for the next file, so a loader thread has one of these and takes it for all.
// Thread rule: one strand only.
class ImageFileReader {
 public:
  // The content of the file at `path`, until the next call. A file that is not there, that may not
  // be read or is larger than 1 GiB is BadSample; any other failure is std::runtime_error. Both
  // name the path.
  std::string_view read(const std::string& path);

 private:
  void reserve(std::size_t size);

  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace lctl
