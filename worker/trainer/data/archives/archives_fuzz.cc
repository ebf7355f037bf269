// Archives from anywhere: names, links and members' bytes.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/archives/archive.h"
#include "worker/trainer/data/archives/member_path.h"
#include "worker/trainer/data/archives/test_archives.h"
#include "worker/trainer/data/bad_sample.h"

namespace lctl::fuzz {

using archives::TestTar;
using archives::TestZip;

std::vector<std::string> seeds() {
  TestTar tar;
  tar.header("folder/", 0, '5').file("folder/a.jpg", "bytes").link("soft", "folder/a.jpg", '2');
  tar.link("folder/hard", "folder/a.jpg", '1').header("null", 0, '3').link("up", "../../x", '2');
  tar.header("././@LongLink", 5, 'K').data(std::string("a/b\0", 5)).link("long", "a", '2');
  tar.pax('x', TestTar::record("linkpath", "p/q")).link("n", "p", '2');
  char path[] = "seed.zip.XXXXXX";
  close(mkstemp(path));
  TestZip zip(path);
  zip.member("a/", "", 040755).member("a/1.jpg", "bytes and bytes and bytes");
  zip.member("stored", "stored", 0100644, 0).member("link", "a/1.jpg", 0120777);
  const std::string zipped = archives::bytes_of_file(zip.close());
  unlink(path);
  return {tar.closed(), zipped};
}

}  // namespace lctl::fuzz

namespace {

// A file in memory that is written again for every input.
int memory_file() {
  static const int descriptor = memfd_create("archive", 0);
  if (descriptor < 0) std::abort();
  return descriptor;
}

// Whatever a path says, no part of it leads up, and a link's target leads no higher than it lies.
void check_member(const lctl::archives::ArchiveMember& member) {
  using Kind = lctl::archives::ArchiveMember::Kind;
  const std::vector<std::string> path = lctl::archives::member_path(member.name);
  for (const std::string& part : path) {
    if (part.empty() || part == "." || part == ".." || part.find('/') != std::string::npos ||
        part.find('\0') != std::string::npos)
      std::abort();
  }
  if (member.kind == Kind::kSymbolicLink && !path.empty()) {
    lctl::archives::check_link_target(member.target, path.size() - 1);
    if (member.target.starts_with('/')) std::abort();
  }
}

void walk(const std::string& path) {
  try {
    const bool zip =
        lctl::archives::archive_form(path, "fuzzed") == lctl::archives::ArchiveForm::kZip;
    const auto archive =
        zip ? lctl::archives::open_zip(path, "fuzzed") : lctl::archives::open_tar(path, "fuzzed");
    while (const auto member = archive->next()) {
      try {
        check_member(*member);
        std::uint64_t bytes = 0;
        if (member->kind == lctl::archives::ArchiveMember::Kind::kFile) {
          archive->read([&](std::string_view piece) { bytes += piece.size(); });
          if (bytes != member->size) std::abort();
        }
      } catch (const lctl::BadSample&) {
        continue;  // refused
      }
    }
  } catch (const lctl::BadSample&) {
    return;  // refused
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (ftruncate(memory_file(), 0) != 0 ||
      pwrite(memory_file(), data, size, 0) != static_cast<ssize_t>(size))
    std::abort();
  walk("/proc/self/fd/" + std::to_string(memory_file()));
  return 0;
}
