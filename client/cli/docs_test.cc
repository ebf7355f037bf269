// docs/cli.md says what the program does: the same commands, the same options, the same exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "client/cli/admin_json.h"
#include "client/cli/exit_code.h"
#include "client/cli/json.h"
#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using Names = std::set<std::string>;

std::string document() {
  std::stringstream text;
  text << std::ifstream("docs/cli.md").rdbuf();
  return text.str();
}

// The text of a section, from its heading to the next one; "" when there is none.
std::string section(const std::string& heading) {
  const std::string text = document();
  const std::size_t begin = text.find("\n" + heading + "\n");
  if (begin == std::string::npos) return "";
  const std::size_t body = begin + heading.size() + 2;
  return text.substr(body, text.find("\n#", body) - body);
}

Names all_matches(const std::string& text, const std::string& pattern) {
  Names found;
  const std::regex expression(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

// Options in the first column of a section's table: "| `-f`, `--follow` | …".
Names documented_options(const std::string& text) {
  Names found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("| `-", 0) != 0) continue;
    for (const auto& name : all_matches(line.substr(0, line.find('|', 1)), "`(--?[a-z-]+)`")) {
      found.insert(name);
    }
  }
  return found;
}

// Commands of the program by their full names, those that only stand before others left out.
void collect(const CLI::App& command, const std::string& name,
             std::map<std::string, const CLI::App*>& out) {
  const auto children = command.get_subcommands(nullptr);
  const bool does_something =
      command.get_parent() != nullptr && command.get_require_subcommand_min() == 0;
  if (children.empty() || does_something) out[name] = &command;
  for (const CLI::App* child : children) collect(*child, name + " " + child->get_name(), out);
}

Names options_of(const CLI::App& command) {
  Names names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.insert("--" + name);
    for (const std::string& name : option->get_snames()) names.insert("-" + name);
  }
  return names;
}

class DocsTest : public ProgramTest {
 protected:
  DocsTest() {
    program_ = make_program(session_);
    collect(*program_, "lctl", commands_);
  }

  std::ostringstream out_;
  Environment environment_{.out = out_,
                           .err = out_,
                           .out_look = look_,
                           .err_look = look_,
                           .variable = [](const char*) { return std::nullopt; },
                           .clock = clock_,
                           .interrupts = interrupts_,
                           .user_at_host = ""};
  Session session_{.environment = environment_, .server = "", .overrides = {}, .action = {}};
  std::unique_ptr<CLI::App> program_;
  std::map<std::string, const CLI::App*> commands_;
};

TEST_F(DocsTest, EveryCommandHasASectionAndNoOtherHas) {
  Names names;
  for (const auto& [name, command] : commands_) names.insert(name);
  EXPECT_EQ(all_matches(document(), "\n### (lctl [^\n]*)"), names);
}

TEST_F(DocsTest, OptionsAreThoseOfTheProgram) {
  for (const auto& [name, command] : commands_) {
    Names options = options_of(*command);
    options.erase("--help");
    options.erase("-h");
    EXPECT_EQ(documented_options(section("### " + name)), options) << name;
  }
  EXPECT_EQ(documented_options(section("## Global options")), options_of(*program_));
}

TEST_F(DocsTest, EverySectionHasExamplesThatCallTheCommand) {
  for (const auto& [name, command] : commands_) {
    const std::string text = section("### " + name);
    const std::size_t examples = text.rfind("\n```\n", text.rfind("\n```") - 1);
    ASSERT_NE(examples, std::string::npos) << name;
    EXPECT_NE(text.find(name, examples), std::string::npos) << name;
  }
}

TEST_F(DocsTest, ExitCodesAreThoseOfTheProgram) {
  EXPECT_EQ(all_matches(section("## Exit codes"), "\n\\| ([0-9]+) \\|"),
            (Names{std::to_string(kExitOk), std::to_string(kExitFailed), std::to_string(kExitUsage),
                   std::to_string(kExitUnreachable), std::to_string(kExitStopped),
                   std::to_string(kExitInterrupted)}));
}

TEST_F(DocsTest, JsonKeysAreThoseOfTheProgram) {
  const auto expect_keys = [](const std::string& what, const Json& value) {
    const std::string text = section("## JSON");
    const std::size_t begin = text.find("\n| " + what + " |");
    ASSERT_NE(begin, std::string::npos) << what;
    const std::string line = text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1);
    for (const auto& item : value.items()) {
      EXPECT_NE(line.find("`" + item.key() + "`"), std::string::npos) << what << ": " << item.key();
    }
  };
  v1::Job job;
  job.add_ranks();
  v1::JobDetails details;
  *details.mutable_job() = job;
  details.add_attempts();
  details.add_transitions();
  const Json all = details_json(details, {v1::Checkpoint()});
  expect_keys("job", job_json(job));
  expect_keys("rank", all["ranks"][0]);
  expect_keys("attempt", all["attempts"][0]);
  expect_keys("transition", all["transitions"][0]);
  expect_keys("checkpoint", all["checkpoints"][0]);
  expect_keys("point", point_json({}));
  expect_keys("metric summary", summary_json({}));
  expect_keys("node", node_json({}));
  expect_keys("backup", backup_json({}));
  expect_keys("check", check_json({}));
  expect_keys("vacuum", vacuum_json({}));
  expect_keys("garbage", garbage_json({}, false));
  expect_keys("removal", removal_json({}));
  expect_keys("deleted job", deletion_json({}));
}

}  // namespace
}  // namespace lctl::cli
