// docs/job_file.md says what the program accepts: its second half is the key table.
#include "jobspec/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "base/status.h"
#include "jobspec/config.h"
#include "jobspec/keys/key_table.h"

namespace lctl::jobspec {
namespace {

std::string document() {
  std::ifstream stream("docs/job_file.md");
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(ReferenceTest, DocumentEndsWithTheReferenceAsItIsNow) {
  const std::string text = document();
  const std::size_t mark = text.find(kReferenceMark);
  ASSERT_NE(mark, std::string::npos);
  EXPECT_EQ(text.substr(mark + std::string(kReferenceMark).size()), reference())
      << "renew it: bazel run //jobspec:write_reference";
}

TEST(ReferenceTest, EveryAvailableClassAndEveryTrainerArgumentIsInIt) {
  const std::string text = reference();
  for (const keys::Kind kind :
       {keys::Kind::kModel, keys::Kind::kData, keys::Kind::kOptimizer, keys::Kind::kLrScheduler,
        keys::Kind::kCallback, keys::Kind::kLogger, keys::Kind::kProfiler}) {
    for (const std::string_view name : keys::available_names(kind)) {
      EXPECT_THAT(text, testing::HasSubstr("### " + std::string(name) + "\n"));
    }
  }
  for (const keys::Argument& argument : keys::section("trainer").arguments) {
    EXPECT_THAT(text, testing::HasSubstr("| `" + std::string(argument.name) + "` |"));
  }
}

// What the document shows as the answer to a wrong job is the answer.
TEST(ReferenceTest, TheRefusalInTheDocumentIsARealOne) {
  ParseOptions options;
  options.overrides = {"--trainer.max_epoch=3", "--optimizer.lr=fast"};
  const auto config = parse_file("examples/invalid/unknown_data_key.yaml", options);
  std::istringstream lines{std::string(message_of(config.status()))};
  std::string shown;
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    // lctl leaves out the known names where the right one is at hand.
    const std::size_t names = line.find("`? known ");
    shown += (names == std::string::npos ? line : line.substr(0, names + 2)) + "\n";
  }
  EXPECT_EQ(count, 3);
  EXPECT_THAT(document(), testing::HasSubstr(shown));
}

// The job files that the document shows whole (they begin with a comment) are accepted.
TEST(ReferenceTest, ExamplesInTheDocumentAreValid) {
  const std::string text = document();
  static const std::regex kBlock("```yaml\n(# [\\s\\S]*?)```");
  int examples = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), kBlock), end; at != end; ++at) {
    ++examples;
    ParseOptions options;
    options.check_files = false;
    const auto config = parse((*at)[1].str(), options);
    EXPECT_TRUE(config.ok()) << (*at)[1] << message_of(config.status());
  }
  EXPECT_GE(examples, 1);
}

}  // namespace
}  // namespace lctl::jobspec
