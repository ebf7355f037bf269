#include "jobspec/input_source.h"

#include <gtest/gtest.h>

namespace lctl::jobspec {
namespace {

TEST(InputSourceTest, WhatHasASchemeIsAUrl) {
  for (const char* url : {"https://h/x", "S3://b/k", "file:///x", "a+b-c.1://x", "http://"})
    EXPECT_TRUE(is_url(url)) << url;
  for (const char* path : {"", "data/x.csv", "://x", "1x://y", "a b://c", "data/a://b", "file:/x",
                           "C:/x", "{a,b}://c"})
    EXPECT_FALSE(is_url(path)) << path;
}

void expect_archive(std::string_view text, std::string_view archive, std::string_view inner) {
  const auto found = archive_folder(text);
  ASSERT_TRUE(found) << text;
  EXPECT_EQ(found->archive, archive);
  EXPECT_EQ(found->inner, inner);
}

TEST(InputSourceTest, ArchivesAreKnownByTheirEndings) {
  for (const char* name : {"a.tar", "x/a.tar.gz", "a.TGZ", "a.zip", "https://h/a.tgz",
                           "https://h/a.zip?download=1", "file:///a.tar#sha256=00"})
    expect_archive(name, name, "");
  for (const char* name : {"", "photos", "a.tar.xz", "zip", "a.zip/b", "https://h/get?f=a.zip",
                           "https://h/a#b.zip", "a.csv.gz", "a.zip?download=1"})
    EXPECT_FALSE(archive_folder(name)) << name;
}

TEST(InputSourceTest, FoldersInsideStandBehindAMark) {
  expect_archive("a.tgz!/photos/train", "a.tgz", "photos/train");
  expect_archive("https://h/a.zip?v=1#sha256=00!/b", "https://h/a.zip?v=1#sha256=00", "b");
  expect_archive("odd!/a.tar!/b!/c", "odd!/a.tar", "b!/c");
  expect_archive("a.tgz!/", "a.tgz", "");
  expect_archive("a.tgz!/b.zip", "a.tgz", "b.zip");
  EXPECT_FALSE(archive_folder("folder!/photos"));
}

}  // namespace
}  // namespace lctl::jobspec
