// One .wandb file: framed records.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "worker/trainer/loggers/appended_file.h"

namespace lctl::wandb {

inline constexpr std::string_view kWho = "WandbLogger";  // begins messages

// The framing is LevelDB's log with a header of its own and plain CRC-32: docs/formats/wandb.md. A
// reader of a file that ends anywhere finds all records that are whole. Errors are those of
// AppendedFile. Thread rule: one strand only.
class RecordFile {
 public:
  // Makes the file, which must not exist, with its header.
  explicit RecordFile(std::filesystem::path path);

  // It waits in memory until flush().
  void append(std::string_view record);
  void flush() { file_.flush(); }
  void close() { file_.close(); }

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  AppendedFile file_;
  std::size_t block_used_ = 0;  // bytes of the block at hand
};

}  // namespace lctl::wandb
