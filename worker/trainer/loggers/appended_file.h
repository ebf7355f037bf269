// A file that grows by what is appended to it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace lctl {

// Appended bytes wait in memory until flush(), which is a write system call and no sync: a process
// that is killed loses nothing that was flushed, a machine that loses its power may lose the last
// seconds.
//
// Errors are std::system_error that begin with `who` ("TensorBoardLogger") and name the file and
// the remedy. After one nothing is lost or written twice: the next flush goes on at the byte that
// was not written. Thread rule: one strand only.
class AppendedFile {
 public:
  // Makes the file, empty. `must_be_new`: it may not exist.
  AppendedFile(std::filesystem::path path, std::string who, bool must_be_new = false);
  ~AppendedFile();  // closes without a flush: an error would be lost, so call close() first
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;

  // What is not written yet; append to it.
  std::string& waiting() { return waiting_; }
  void flush();
  void close();

  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
  const std::string who_;
  int file_ = -1;  // -1: closed
  std::string waiting_;
};

// A folder and those above it. Errors as above.
void make_folders(const std::filesystem::path& folder, std::string_view who);

// The whole of a small file, replaced if it is there. Errors as above.
void write_whole_file(const std::filesystem::path& path, std::string_view text,
                      std::string_view who);

}  // namespace lctl
