// Every job file below examples/ is what it says: those in invalid/ are refused with exactly the
// findings that their `# expect LINE KEY: MESSAGE` comments announce (`-` = no key; MESSAGE is a
// part of the text), all others are accepted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <tuple>
#include <vector>

#include "base/status.h"
#include "jobspec/config.h"

namespace lctl::jobspec {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> job_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string text_of(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Expectation {
  int line;
  std::string key;
  std::string message;
};

std::vector<Expectation> expectations(const std::string& text) {
  static const std::regex kLine("# expect (\\d+) (\\S+): ([^\n]*)");
  std::vector<Expectation> found;
  for (std::sregex_iterator at(text.begin(), text.end(), kLine), end; at != end; ++at) {
    const std::string key = (*at)[2];
    found.push_back({std::stoi((*at)[1]), key == "-" ? "" : key, (*at)[3]});
  }
  return found;
}

// Messages that name another place name it as file:line; the folder is no part of what is expected.
std::string without_folder(std::string text) {
  const std::string folder = "examples/invalid/";
  for (std::size_t at = 0; (at = text.find(folder, at)) != std::string::npos;) {
    text.erase(at, folder.size());
  }
  return text;
}

TEST(ExampleFilesTest, EachInvalidFileIsRefusedWithExactlyTheFindingsThatItAnnounces) {
  const std::vector<std::string> files = job_files("examples/invalid");
  ASSERT_GE(files.size(), 12U);
  for (const std::string& path : files) {
    SCOPED_TRACE(path);
    const std::vector<Expectation> expected = expectations(text_of(path));
    ASSERT_FALSE(expected.empty());

    Findings findings;
    ParseOptions options;
    options.file_name = path;
    options.base_dir = fs::absolute("examples/invalid").string();
    const auto config = parse(text_of(path), options, findings);

    EXPECT_FALSE(config.ok());
    std::vector<std::tuple<int, std::string>> places, expected_places;
    for (const SpecError& error : findings.errors()) places.emplace_back(error.line, error.key);
    for (const Expectation& each : expected) expected_places.emplace_back(each.line, each.key);
    EXPECT_THAT(places, testing::UnorderedElementsAreArray(expected_places));
    const std::string all = without_folder(std::string(message_of(config.status())));
    for (const Expectation& each : expected) EXPECT_THAT(all, testing::HasSubstr(each.message));
  }
}

TEST(ExampleFilesTest, EveryOtherExampleIsAccepted) {
  const std::vector<std::string> files = job_files("examples");
  ASSERT_FALSE(files.empty());
  for (const std::string& path : files) {
    const auto config = parse_file(path);
    EXPECT_TRUE(config.ok()) << path << "\n" << message_of(config.status());
    if (!config.ok()) continue;
    // What the server and the ranks get is the same job.
    ParseOptions on_server;
    on_server.check_files = false;
    const auto again = parse(config->canonical_yaml(), on_server);
    ASSERT_TRUE(again.ok()) << message_of(again.status());
    EXPECT_EQ(again->canonical_yaml(), config->canonical_yaml());
  }
}

}  // namespace
}  // namespace lctl::jobspec
