// docs/job_file.md says what the program accepts: its second half is the key table.
#include "jobspec/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
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
        keys::Kind::kCallback, keys::Kind::kLogger}) {
    for (const std::string_view name : keys::available_names(kind)) {
      EXPECT_THAT(text, testing::HasSubstr("### " + std::string(name) + "\n"));
    }
  }
  for (const keys::Argument& argument : keys::section("trainer").arguments) {
    EXPECT_THAT(text, testing::HasSubstr("| `" + std::string(argument.name) + "` |"));
  }
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
