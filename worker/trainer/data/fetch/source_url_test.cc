#include "worker/trainer/data/fetch/source_url.h"

#include <gtest/gtest.h>

#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

const std::string kSha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string error_of(const std::string& url) {
  try {
    parse_source(url);
  } catch (const FetchError& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(FetchErrorKind::kMalformedUrl));
    EXPECT_TRUE(error.permanent());
    return error.what();
  }
  return "no error";
}

TEST(SourceUrlTest, PathsStayAsTheyAre) {
  for (const char* path :
       {"data/train.csv", "/a b/100%#sha256=x.csv", "C:/x", "a:b", "://x", "1x://y", "file:/x"}) {
    const SourceUrl url = parse_source(path);
    EXPECT_EQ(url.scheme, SourceUrl::Scheme::kPath) << path;
    EXPECT_EQ(url.path, path);
  }
}

TEST(SourceUrlTest, FileUrlsAreDecoded) {
  EXPECT_EQ(parse_source("file:///data/a%20b%25.csv").path, "/data/a b%.csv");
  EXPECT_EQ(parse_source("FILE://localhost/x").path, "/x");
  const SourceUrl url = parse_source("file:///x#sha256=" + kSha256);
  EXPECT_EQ(url.path, "/x");
  EXPECT_EQ(url.sha256, kSha256);
}

TEST(SourceUrlTest, HttpUrlsHaveAddressNameAndKey) {
  const SourceUrl url =
      parse_source("HTTPS://Host.example:8443/a/train%20set.csv.gz?v=2#sha256=" + kSha256);
  EXPECT_EQ(url.scheme, SourceUrl::Scheme::kHttps);
  EXPECT_EQ(url.address, "HTTPS://Host.example:8443/a/train%20set.csv.gz?v=2");
  EXPECT_EQ(url.name, "train set.csv.gz");
  EXPECT_EQ(url.key, "https://host.example:8443/a/train%20set.csv.gz?v=2");
}

TEST(SourceUrlTest, ChecksumsMayBeUpperCase) {
  std::string upper = kSha256;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(parse_source("http://h/x#sha256=" + upper).sha256, kSha256);
}

TEST(SourceUrlTest, NamesAreSafe) {
  EXPECT_EQ(parse_source("http://h/..").name, "_.");
  EXPECT_EQ(parse_source("http://h/a/%2e%2e%2fetc%2fpasswd").name, "_._etc_passwd");
  EXPECT_EQ(parse_source("http://h/.verified").name, "_verified");
  EXPECT_EQ(parse_source("http://h/a%00b%0a").name, "a_b_");
  EXPECT_EQ(parse_source("http://h").name, "data");
  EXPECT_EQ(parse_source("http://h/a/").name, "data");
  const std::string name = parse_source("http://h/" + std::string(500, 'x') + ".npz").name;
  EXPECT_EQ(name.size(), 200u);
  EXPECT_TRUE(name.ends_with(".npz"));
}

TEST(SourceUrlTest, CredentialsAreNeitherShownNorPartOfTheKey) {
  const SourceUrl url = parse_source(
      "https://me:se@cret@h/x.csv?a=1&X-Amz-Signature=abc&access_token=t&b#sha256=" + kSha256);
  EXPECT_EQ(url.shown, "https://***@h/x.csv?a=1&X-Amz-Signature=***&access_token=***&b");
  EXPECT_EQ(url.key, "https://h/x.csv?a=1&X-Amz-Signature=abc&access_token=t&b");
  EXPECT_EQ(error_of("s3://me:secret@bucket/x").find("secret"), std::string::npos);
}

TEST(SourceUrlTest, WhatIsWrongIsSaid) {
  EXPECT_NE(error_of("").find("no path"), std::string::npos);
  EXPECT_NE(error_of("s3://bucket/x").find("`s3:` is not among"), std::string::npos);
  EXPECT_NE(error_of("http://").find("names no host"), std::string::npos);
  EXPECT_NE(error_of("http://:80/x").find("names no host"), std::string::npos);
  EXPECT_NE(error_of("http://u@/x").find("names no host"), std::string::npos);
  EXPECT_NE(error_of("http://h/a b").find("%20"), std::string::npos);
  EXPECT_NE(error_of("http://h/x#md5=1").find("sha256="), std::string::npos);
  EXPECT_NE(error_of("http://h/x#sha256=12").find("64 hexadecimal"), std::string::npos);
  EXPECT_NE(error_of("http://h/x#sha256=" + std::string(64, 'g')).find("64 hexadecimal"),
            std::string::npos);
  EXPECT_NE(error_of("file://other/x").find("file:///absolute"), std::string::npos);
  EXPECT_NE(error_of("file:///x%4").find("%25"), std::string::npos);
  EXPECT_NE(error_of("file:///x%00y").find("%00"), std::string::npos);
  EXPECT_NE(error_of("http://h/" + std::string(kMaxUrlSize, 'x')).find("at most"),
            std::string::npos);
}

}  // namespace
}  // namespace lctl
