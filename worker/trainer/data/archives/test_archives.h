// Archives for tests.
#pragma once

#include <minizip/zip.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

#include "worker/trainer/data/formats/gzip_for_test.h"
#include "worker/trainer/data/webdataset/test_tar.h"

namespace lctl::archives {

using webdataset::TestFolder;
using webdataset::TestTar;

// Written when it is closed. Thread rule: one strand only.
class TestZip {
 public:
  explicit TestZip(std::string path)
      : path_(std::move(path)), zip_(zipOpen64(path_.c_str(), APPEND_STATUS_CREATE)) {}

  TestZip& member(const std::string& name, const std::string& data, std::uint32_t mode = 0100644,
                  int method = Z_DEFLATED) {
    constexpr uLong kMadeByUnix = 3 << 8;
    zip_fileinfo info = {};
    info.external_fa = static_cast<uLong>(mode) << 16;
    zipOpenNewFileInZip4_64(zip_, name.c_str(), &info, nullptr, 0, nullptr, 0, nullptr, method, 6,
                            0, -MAX_WBITS, DEF_MEM_LEVEL, Z_DEFAULT_STRATEGY, nullptr, 0,
                            kMadeByUnix, 0, 0);
    zipWriteInFileInZip(zip_, data.data(), static_cast<unsigned>(data.size()));
    zipCloseFileInZip(zip_);
    return *this;
  }

  // The archive's path.
  const std::string& close() {
    zipClose(zip_, nullptr);
    return path_;
  }

 private:
  std::string path_;
  zipFile zip_;
};

inline std::string bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace lctl::archives
