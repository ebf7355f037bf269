// Shards from anywhere.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/shard_reader.h"
#include "worker/trainer/data/webdataset/test_tar.h"

namespace lctl::fuzz {

using webdataset::TestTar;

std::vector<std::string> seeds() {
  TestTar all;
  all.file("a.jpg", "bytes").header("folder/", 0, '5').file("a.cls", "1");
  all.header("././@LongLink", 150, 'L').data(std::string(149, 'n') + '\0').file("n", "x");
  all.pax('g', TestTar::record("comment", "c"));
  all.pax('x', TestTar::record("path", "p/q.r.s") + TestTar::record("size", "2"));
  all.header("p", 0, '0').data("ab").header("s", 0, 'S');
  TestTar base256;
  base256.raw_header("b.txt", std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\x03", 12), '0', "dir");
  base256.data("abc").file(".x", "").file("y.", "");
  return {all.closed(), base256.closed(), TestTar().file("a.a", "1").closed()};
}

}  // namespace lctl::fuzz

namespace {

// A file in memory that is written again for every input.
int memory_file() {
  static const int descriptor = memfd_create("shard", 0);
  if (descriptor < 0) std::abort();
  return descriptor;
}

// A changed byte would always stop at a checksum: half of the inputs get theirs put right.
std::string with_checksums(std::string bytes) {
  for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
    if (bytes.compare(at + 257, 5, "ustar") == 0)
      bytes.replace(at, 512, lctl::webdataset::TestTar::with_checksum(bytes.substr(at, 512)));
  }
  return bytes;
}

void walk(const std::string& bytes) {
  if (ftruncate(memory_file(), 0) != 0 ||
      pwrite(memory_file(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  try {
    lctl::webdataset::ShardReader reader(
        lctl::webdataset::ReadOnlyFile::open("/proc/self/fd/" + std::to_string(memory_file())),
        "shard.tar");
    while (const auto sample = reader.next()) {
      if (sample->fields.empty()) __builtin_trap();
      for (const auto& field : sample->fields) {
        if (field.offset > bytes.size() || field.size > bytes.size() - field.offset)
          __builtin_trap();
      }
    }
  } catch (const lctl::BadSample&) {
    return;  // refused
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  walk(bytes);
  walk(with_checksums(bytes));
  return 0;
}
