#include "worker/trainer/data/webdataset/tar_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/test_tar.h"

namespace lctl::webdataset {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_view_literals;

class TarReaderTest : public ::testing::Test {
 protected:
  struct Walk {
    std::vector<std::string> members;  // "name=bytes"
    std::string error;                 // of the BadSample at the end, if there was one
  };

  Walk walk(std::string_view bytes) {
    const auto file = ReadOnlyFile::open(folder_.write("a.tar", bytes));
    Walk found;
    try {
      TarReader reader(file, "a.tar");
      try {
        while (const auto member = reader.next()) {
          std::string data(member->size, '?');
          EXPECT_EQ(file->read_at(member->offset, std::as_writable_bytes(std::span(data))),
                    data.size());
          found.members.push_back(member->name + "=" + data);
        }
      } catch (const BadSample& error) {
        found.error = error.what();
        EXPECT_FALSE(reader.next().has_value());
      }
    } catch (const BadSample& error) {
      found.error = error.what();
    }
    return found;
  }

  TestFolder folder_{testing::TempDir()};
};

TEST_F(TarReaderTest, FindsFilesAndTheirBytes) {
  const std::string big(100'000, 'x');
  const Walk found =
      walk(TestTar().file("a.txt", "one").file("b", "").file("c", big).file("d", "2").closed());
  EXPECT_EQ(found.error, "");
  EXPECT_THAT(found.members, ElementsAre("a.txt=one", "b=", "c=" + big, "d=2"));
}

TEST_F(TarReaderTest, PassesOverLinksFoldersAndDevicesAndWhatNobodyKnows) {
  TestTar tar;
  // Links and folders have no bytes, whatever their size says.
  for (const char type : {'1', '2', '3', '4', '5', '6'}) tar.header("no", 700, type);
  tar.header("V7 folder/", 0, '\0');
  tar.header("unknown", 600, 'Z').data(std::string(600, 'z'));
  tar.header("old", 1, '\0').data("o").header("contiguous", 1, '7').data("c");
  const Walk found = walk(tar.closed());
  EXPECT_EQ(found.error, "");
  EXPECT_THAT(found.members, ElementsAre("old=o", "contiguous=c"));
}

TEST_F(TarReaderTest, TakesLongNamesOfGnu) {
  const std::string name(300, 'n');
  TestTar tar;
  tar.header("././@LongLink", 200, 'K').data(std::string(200, 'k'));
  tar.header("././@LongLink", name.size() + 1, 'L').data(name + '\0');
  tar.file(name.substr(0, 99), "x").file("next", "y");
  EXPECT_THAT(walk(tar.closed()).members, ElementsAre(name + "=x", "next=y"));
}

TEST_F(TarReaderTest, TakesPathAndSizeFromPaxRecords) {
  TestTar tar;
  tar.pax('x', TestTar::record("mtime", "1.5") + TestTar::record("path", "träger/ü.jpg") +
                   TestTar::record("size", "3"));
  tar.header("short", 0, '0').data("abc").file("next", "y");
  tar.pax('X', TestTar::record("path", "")).file("own name", "z");
  EXPECT_THAT(walk(tar.closed()).members, ElementsAre("träger/ü.jpg=abc", "next=y", "own name=z"));
}

TEST_F(TarReaderTest, GlobalPaxRecordsHoldUntilAMemberHasItsOwn) {
  TestTar tar;
  tar.pax('g', TestTar::record("comment", "c") + TestTar::record("path", "all"));
  tar.file("1", "a").pax('x', TestTar::record("path", "own")).file("2", "b").file("3", "c");
  EXPECT_THAT(walk(tar.closed()).members, ElementsAre("all=a", "own=b", "all=c"));
}

TEST_F(TarReaderTest, JoinsThePrefixOfUstarOnly) {
  TestTar tar;
  tar.raw_header("b.txt", "00000000001"sv, '0', "folder/a").data("1");
  // Old GNU keeps times there.
  tar.raw_header("c.txt", "00000000001"sv, '0', "12345670123", "ustar  \0"sv).data("2");
  tar.raw_header(std::string(100, 'd'), "1 "sv, '0', std::string(155, 'p')).data("3");
  EXPECT_THAT(walk(tar.closed()).members,
              ElementsAre("folder/a/b.txt=1", "c.txt=2",
                          std::string(155, 'p') + "/" + std::string(100, 'd') + "=3"));
}

TEST_F(TarReaderTest, UnderstandsBase256SizesAndBlanks) {
  TestTar tar;
  tar.raw_header("base256", "\x80\0\0\0\0\0\0\0\0\0\0\x03"sv, '0', "").data("abc");
  tar.raw_header("blanks", "         2 \0"sv, '0', "").data("de");
  tar.raw_header("none", "            "sv, '0', "");
  EXPECT_THAT(walk(tar.closed()).members, ElementsAre("base256=abc", "blanks=de", "none="));
}

TEST_F(TarReaderTest, TakesASignedChecksum) {
  TestTar tar;
  tar.file("\xc3\xa4", "x");
  const std::string header = TestTar::with_checksum(tar.open().substr(0, 512), true);
  EXPECT_THAT(walk(header + tar.closed().substr(512)).members, ElementsAre("\xc3\xa4=x"));
}

TEST_F(TarReaderTest, TellsFoldersLinksAndDevicesWhenAsked) {
  TestTar tar;
  tar.header("folder/", 0, '5')
      .link("soft", "a/b", '2')
      .link("hard", "a", '1')
      .header("null", 0, '3');
  const std::string target(150, 't');
  tar.header("././@LongLink", target.size() + 1, 'K').data(target + '\0').link("long", "t", '2');
  tar.pax('x', TestTar::record("linkpath", "p/q") + TestTar::record("path", "named"))
      .link("n", "p", '2');
  tar.file("f", "1");
  const auto file = ReadOnlyFile::open(folder_.write("a.tar", tar.closed()));
  TarReader reader(file, "a.tar", TarMembers::kAll);
  std::vector<std::string> found;
  while (const auto member = reader.next()) found.push_back(member->name + ">" + member->link);
  EXPECT_THAT(found, ElementsAre("folder/>", "soft>a/b", "hard>a", "null>", "long>" + target,
                                 "named>p/q", "f>"));
  EXPECT_THAT(walk(tar.closed()).members, ElementsAre("f=1"));
}

TEST_F(TarReaderTest, ADamagedHeaderIsToldWithItsPlace) {
  std::string tar = TestTar().file("a", "1").file("b", "2").closed();
  tar[1024 + 3] = 'x';
  const Walk found = walk(tar);
  EXPECT_THAT(found.members, ElementsAre("a=1"));
  EXPECT_THAT(found.error, AllOf(HasSubstr("a.tar: at byte 1024: "), HasSubstr("checksum")));
}

TEST_F(TarReaderTest, AFileThatIsCutOffIsTruncatedWithItsPlace) {
  const std::string tar = TestTar().file("a", "1").file("b", std::string(600, 'x')).closed();
  Walk found = walk(tar.substr(0, 1700));
  EXPECT_THAT(found.members, ElementsAre("a=1"));
  EXPECT_EQ(found.error,
            "a.tar: truncated: the file ends at byte 1700, inside 'b', whose header at byte 1024 "
            "says 600 bytes; copy or write it again");
  found = walk(tar.substr(0, 1300));
  EXPECT_THAT(found.error, HasSubstr("ends at byte 1300, inside the header at byte 1024"));
  // Whole members without the end mark: more may be lost. The first time within the padding.
  for (const std::size_t size : {1536 + 600, 1536 + 1024}) {
    found = walk(tar.substr(0, size));
    EXPECT_EQ(found.members.size(), 2U);
    EXPECT_THAT(found.error, HasSubstr("without the two blocks of zeros"));
  }
  EXPECT_EQ(walk(tar.substr(0, 1536 + 1024 + 512)).error, "");
  EXPECT_THAT(walk("").error, HasSubstr("ends at byte 0, without"));
}

TEST_F(TarReaderTest, WhatFollowsTheEndMarkIsNotLookedAt) {
  const Walk found = walk(TestTar().file("a", "1").closed() + TestTar().file("b", "2").closed());
  EXPECT_THAT(found.members, ElementsAre("a=1"));
  EXPECT_EQ(found.error, "");
}

TEST_F(TarReaderTest, OneBlockOfZerosBeforeMoreIsDamage) {
  const Walk found = walk(TestTar().file("a", "1").open() + std::string(512, '\0') +
                          TestTar().file("b", "2").closed());
  EXPECT_THAT(found.error, HasSubstr("a.tar: at byte 1024: a single block of zeros"));
}

TEST_F(TarReaderTest, RefusesSparseFiles) {
  EXPECT_THAT(walk(TestTar().file("a", "1").header("holes", 0, 'S').closed()).error,
              AllOf(HasSubstr("at byte 1024"), HasSubstr("'holes' is stored as a sparse file")));
  TestTar pax;
  pax.pax('x', TestTar::record("GNU.sparse.major", "1") + TestTar::record("GNU.sparse.name", "h"));
  EXPECT_THAT(walk(pax.file("h", "1").closed()).error, HasSubstr("sparse"));
}

TEST_F(TarReaderTest, RefusesCompressedFilesAndSaysWhatToDo) {
  EXPECT_THAT(walk("\x1f\x8b\x08 and so on").error,
              AllOf(HasSubstr("a.tar: is compressed with gzip"), HasSubstr("gzip -d")));
  EXPECT_THAT(walk("BZh91AY").error, HasSubstr("bzip2"));
  EXPECT_THAT(walk("\xfd"
                   "7zXZ\0\0"sv)
                  .error,
              HasSubstr("xz"));
  EXPECT_THAT(walk("\x28\xb5\x2f\xfd....").error, HasSubstr("zstd"));
}

TEST_F(TarReaderTest, SizesOutOfBoundsAreRefused) {
  const auto error_of = [&](std::string_view size, char type) {
    return walk(TestTar().raw_header("a", size, type, "").closed()).error;
  };
  EXPECT_THAT(error_of("77777777777\0"sv, '0'), HasSubstr("truncated"));
  EXPECT_THAT(error_of("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"sv, '0'),
              HasSubstr("truncated"));
  EXPECT_THAT(error_of("\x80\0\0\x01\0\0\0\0\0\0\0\0"sv, '0'), HasSubstr("no number of bytes"));
  EXPECT_THAT(error_of("\x80\0\0\0\x80\0\0\0\0\0\0\0"sv, '0'), HasSubstr("no number of bytes"));
  EXPECT_THAT(error_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv, '0'),
              HasSubstr("no number of bytes"));
  EXPECT_THAT(error_of("0000000000x\0"sv, '0'), HasSubstr("its size is no octal number"));
  EXPECT_THAT(error_of("00010000000\0"sv, 'L'), HasSubstr("a name of 2097152 bytes"));
  EXPECT_THAT(error_of("00010000000\0"sv, 'x'), HasSubstr("an extended header of 2097152 bytes"));
}

TEST_F(TarReaderTest, MalformedPaxRecordsAreRefused) {
  for (const std::string_view records :
       {"x path=a\n"sv, "9 path=a"sv, "99 path=a\n"sv, "2 a=b\n"sv, " a=b\n"sv, "7 path\n"sv,
        "5 =a\n"sv, "11 size=-1\n"sv, "27 size=9223372036854775808\n"sv,
        "18446744073709551616 a=b\n"sv, "1 "sv, "9"sv}) {
    const Walk found = walk(TestTar().pax('x', records).file("a", "1").closed());
    EXPECT_THAT(found.error, HasSubstr("a.tar: at byte 0: ")) << records;
  }
  EXPECT_THAT(walk(TestTar()
                       .pax('x', TestTar::record("path", std::string(5000, 'p')))
                       .file("a", "1")
                       .closed())
                  .error,
              HasSubstr("more than 4096 bytes"));
  EXPECT_THAT(walk(TestTar().pax('x', TestTar::record("path", "p")).closed()).error,
              HasSubstr("before its member"));
}

TEST_F(TarReaderTest, AFileThatCannotBeOpenedIsNoBadSample) {
  try {
    ReadOnlyFile::open(folder_.path("missing.tar"));
    FAIL();
  } catch (const BadSample&) {
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing.tar: cannot be opened: No such file"));
  }
  EXPECT_THROW(ReadOnlyFile::open(testing::TempDir()), std::runtime_error);
}

}  // namespace
}  // namespace lctl::webdataset
