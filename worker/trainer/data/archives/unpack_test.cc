#include "worker/trainer/data/archives/unpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>

#include "worker/trainer/data/archives/test_archives.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl::archives {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::ThrowsMessage;

class UnpackTest : public ::testing::Test {
 protected:
  UnpackTest() { fs::create_directory(into()); }

  fs::path into() const { return folder_.path("into"); }

  Unpacked unpack(const std::string& path) {
    return archives::unpack(path, "the archive", into(), options_);
  }
  Unpacked unpack_bytes(std::string_view bytes) { return unpack(folder_.write("archive", bytes)); }

  void refused(std::string_view bytes, const std::string& member, const std::string& why) {
    EXPECT_THAT([&] { unpack_bytes(bytes); },
                ThrowsMessage<BadSample>(AllOf(HasSubstr("the archive: "),
                                               HasSubstr("'" + member + "'"), HasSubstr(why))));
  }

  // Path below the folder -> bytes, "/" for a folder, "-> target" for a symbolic link.
  std::map<std::string, std::string> made() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(into())) {
      std::string& text = found[entry.path().lexically_relative(into()).string()];
      if (entry.is_symlink()) {
        text = "-> " + fs::read_symlink(entry.path()).string();
      } else {
        text = entry.is_directory() ? "/" : bytes_of_file(entry.path().string());
      }
    }
    return found;
  }

  TestFolder folder_{testing::TempDir()};
  UnpackOptions options_;
};

TEST_F(UnpackTest, FilesAndFoldersOfATarAreMade) {
  const std::string big(3'000'000, 'b');
  const std::string tar = TestTar()
                              .header("./", 0, '5')
                              .file("./a/1.txt", "one")
                              .header("empty/", 0, '5')
                              .file("a/b/big", big)
                              .file("a/2.txt", "")
                              .closed();
  const Unpacked found = unpack_bytes(tar);
  EXPECT_EQ(found.files, 3u);
  EXPECT_EQ(found.bytes, 3u + big.size());
  EXPECT_THAT(made(), ElementsAre(Pair("a", "/"), Pair("a/1.txt", "one"), Pair("a/2.txt", ""),
                                  Pair("a/b", "/"), Pair("a/b/big", big), Pair("empty", "/")));
}

TEST_F(UnpackTest, AGzippedTarIsTheSame) {
  const std::string big(40'000'000, 'b');  // gives back its space in between
  std::uint64_t room = 0;
  options_.make_room = [&](std::uint64_t bytes) { room = bytes; };
  unpack_bytes(gzipped(TestTar().file("a/1", big).file("a/2", "two").closed()));
  EXPECT_THAT(made(), ElementsAre(Pair("a", "/"), Pair("a/1", big), Pair("a/2", "two")));
  EXPECT_GE(room, big.size());
}

TEST_F(UnpackTest, AZipIsTheSame) {
  const std::string big(3'000'000, 'b');
  TestZip zip(folder_.path("a.zip"));
  zip.member("a/", "", 040755).member("a/1", big).member("stored", big, 0100644, 0);
  zip.member("plain", "p", 0).member("a/link", "../stored", 0120777);
  const Unpacked found = unpack(zip.close());
  EXPECT_EQ(found.files, 3u);
  EXPECT_THAT(made(), ElementsAre(Pair("a", "/"), Pair("a/1", big), Pair("a/link", "-> ../stored"),
                                  Pair("plain", "p"), Pair("stored", big)));
}

TEST_F(UnpackTest, ModesAreForAllUsersWhateverTheUmask) {
  const mode_t before = umask(077);
  unpack_bytes(TestTar().file("a/1", "one").closed());
  umask(before);
  EXPECT_EQ(fs::status(into() / "a").permissions(), fs::perms(0755));
  EXPECT_EQ(fs::status(into() / "a" / "1").permissions(), fs::perms(0644));
}

TEST_F(UnpackTest, TheLastMemberOfANameCounts) {
  unpack_bytes(
      TestTar().file("a", "old").link("b", "a", '2').file("a", "new").file("b", "file").closed());
  EXPECT_THAT(made(), ElementsAre(Pair("a", "new"), Pair("b", "file")));
}

TEST_F(UnpackTest, LinksThatStayInsideAreMade) {
  TestTar tar;
  tar.file("a/1", "one").link("a/hard", "a/1", '1').link("a/soft", "1", '2').link("b", "a", '2');
  unpack_bytes(tar.closed());
  EXPECT_THAT(made(), ElementsAre(Pair("a", "/"), Pair("a/1", "one"), Pair("a/hard", "one"),
                                  Pair("a/soft", "-> 1"), Pair("b", "-> a")));
  EXPECT_EQ(fs::hard_link_count(into() / "a" / "1"), 2u);
}

TEST_F(UnpackTest, WhatLeadsOutIsRefusedBeforeAnythingIsMade) {
  const auto after_a_good_one = [] { return TestTar().file("good", "g"); };
  refused(after_a_good_one().file("../out", "x").closed(), "../out", "'..'");
  refused(after_a_good_one().file("a/../../out", "x").closed(), "a/../../out", "'..'");
  refused(after_a_good_one().file("/abs", "x").closed(), "/abs", "absolute");
  refused(after_a_good_one().link("l", "../out", '2').closed(), "l", "leads out");
  refused(after_a_good_one().link("l", "/etc/passwd", '2').closed(), "l", "absolute");
  refused(after_a_good_one().link("l", "../out", '1').closed(), "l", "'..'");
  refused(after_a_good_one().header("null", 0, '3').closed(), "null", "device");
  refused(after_a_good_one().header("pipe", 0, '6').closed(), "pipe", "device");
  refused(after_a_good_one().file(".", "x").closed(), ".", "has no name");
  EXPECT_THAT(made(), IsEmpty());

  TestZip zip(folder_.path("bad.zip"));
  zip.member("good", "g").member("../out", "x");
  EXPECT_THAT([&] { unpack(zip.close()); }, ThrowsMessage<BadSample>(HasSubstr("'../out'")));
  TestZip linked(folder_.path("linked.zip"));
  linked.member("l", "../../out", 0120777);
  EXPECT_THAT([&] { unpack(linked.close()); }, ThrowsMessage<BadSample>(HasSubstr("leads out")));
  TestZip device(folder_.path("device.zip"));
  device.member("d", "", 020644);
  EXPECT_THAT([&] { unpack(device.close()); }, ThrowsMessage<BadSample>(HasSubstr("device")));
  EXPECT_THAT(made(), IsEmpty());
}

TEST_F(UnpackTest, NothingIsWrittenThroughALink) {
  fs::create_directory(folder_.path("outside"));
  // Only a symbolic link inside is let through by its target.
  refused(TestTar().header("real", 0, '5').link("l", "real", '2').file("l/x", "x").closed(), "l/x",
          "cannot be unpacked");
  EXPECT_FALSE(fs::exists(into() / "real" / "x"));
}

TEST_F(UnpackTest, MembersThatContradictEachOtherAreNamed) {
  refused(TestTar().file("a", "1").file("a/b", "2").closed(), "a/b", "Not a directory");
}

TEST_F(UnpackTest, AFolderIsNotReplaced) {
  refused(TestTar().file("a/b", "1").file("a", "2").closed(), "a", "File exists");
}

TEST_F(UnpackTest, AHardLinkToWhatIsNotThereIsNamed) {
  refused(TestTar().link("l", "gone", '1').closed(), "l", "No such file");
}

TEST_F(UnpackTest, DamagedArchivesLeaveNothingAndSayWhere) {
  const std::string tar = TestTar().file("a", "1").file("b", std::string(5000, 'x')).closed();
  const auto fails = [&](std::string_view bytes, const char* why) {
    EXPECT_THAT([&] { unpack_bytes(bytes); },
                ThrowsMessage<BadSample>(AllOf(HasSubstr("the archive: "), HasSubstr(why))));
    EXPECT_THAT(made(), IsEmpty()) << why;
  };
  fails(tar.substr(0, 3000), "truncated");
  const std::string packed = gzipped(tar);
  fails(std::string_view(packed).substr(0, packed.size() - 12), "cut off");
  fails(gzipped("no tar, but some text that is longer than nothing"), "truncated");
  fails(std::string(2000, 'x'), "no header");
  fails("", "truncated");
  fails("BZh91AY&SY", "bzip2");
  fails("PK\x03\x04 and no directory", "no ZIP archive");
}

TEST_F(UnpackTest, ADamagedMemberOfAZipIsNamed) {
  TestZip zip(folder_.path("a.zip"));
  zip.member("stored", "12345678", 0100644, 0);
  std::string bytes = bytes_of_file(zip.close());
  bytes[bytes.find("12345678")] = 'x';
  EXPECT_THAT([&] { unpack_bytes(bytes); },
              ThrowsMessage<BadSample>(
                  AllOf(HasSubstr("the archive: "), HasSubstr("stored"), HasSubstr("CRC-32"))));
}

TEST_F(UnpackTest, TooManyMembersAreRefused) {
  options_.most_members = 2;
  EXPECT_THAT([&] { unpack_bytes(TestTar().file("a", "").file("b", "").file("c", "").closed()); },
              ThrowsMessage<BadSample>(HasSubstr("more than 2 members")));
}

TEST_F(UnpackTest, WhatTheDiskCannotHoldIsToldBefore) {
  TestZip zip(folder_.path("a.zip"));
  zip.member("huge", "12345678", 0100644, Z_DEFLATED);
  std::string bytes = bytes_of_file(zip.close());
  // Its unpacked size, in its header and in the directory: 4 GiB.
  bytes.replace(bytes.find("PK\x03\x04") + 22, 4, "\xfe\xff\xff\xff");
  bytes.replace(bytes.find("PK\x01\x02") + 24, 4, "\xfe\xff\xff\xff");
  std::uint64_t asked = 0;
  options_.make_room = [&](std::uint64_t size) {
    asked = size;
    throw FetchError(FetchErrorKind::kDiskFull, false, "no room");
  };
  EXPECT_THROW(unpack_bytes(bytes), FetchError);
  EXPECT_GE(asked, std::uint64_t{0xfffffffe});
  EXPECT_THAT(made(), IsEmpty());
}

TEST_F(UnpackTest, AStopEndsIt) {
  int asked = 0;
  options_.stopped = [&] { return ++asked > 1; };
  const std::string tar = TestTar().file("a", std::string(3'000'000, 'x')).closed();
  try {
    unpack_bytes(tar);
    ADD_FAILURE() << "not stopped";
  } catch (const FetchError& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(FetchErrorKind::kCancelled));
    EXPECT_THAT(error.what(), HasSubstr("the archive"));
  }
}

}  // namespace
}  // namespace lctl::archives
