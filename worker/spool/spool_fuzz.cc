// The reader of a rank's spool: the agent reads what a killed, broken or malicious process has
// left.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/spool/spool_reader.h"
#include "worker/spool/spool_writer.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  const std::string path =
      std::string(std::getenv("TEST_TMPDIR") == nullptr ? "/tmp" : std::getenv("TEST_TMPDIR")) +
      "/seed-" + std::to_string(getpid()) + ".log";
  {
    auto writer = spool::SpoolWriter::open({.file = path});
    v1::Event event;
    event.set_time_us(1);
    for (const char* text : {"a", "a longer line", ""}) {
      event.mutable_log()->set_text(text);
      if (!writer.ok() || !(*writer)->append(event).ok()) abort();
    }
  }
  std::ifstream stream(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  unlink(path.c_str());
  return {bytes, ""};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int file = memfd_create("spool", MFD_CLOEXEC);
  if (file < 0 || write(file, data, size) != static_cast<ssize_t>(size)) abort();
  const auto reader = lctl::spool::SpoolReader::open("/proc/self/fd/" + std::to_string(file), 0);
  std::uint64_t at = 0;
  while (true) {
    const auto records = reader->read(1 << 16);
    if (!records.ok() || records->empty()) break;
    for (const lctl::spool::Record& record : *records) {
      if (record.offset < at || record.end_offset > size || record.end_offset <= record.offset)
        abort();
      at = record.end_offset;
    }
  }
  close(file);
  return 0;
}
