#include "jobspec/yaml_reader.h"

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <utility>

#include "base/utf8.h"
#include "jobspec/characters.h"
#include "jobspec/tree_builder.h"

namespace lctl::jobspec {
namespace {

// The text has only characters that YAML allows; else a finding, and false.
bool check_characters(std::string_view text, const Location& start, Findings& findings) {
  int line = 1;
  int column = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = utf8_length(text.substr(i));
    const bool control = is_control(text[i]) && c != '\t' && c != '\n' && c != '\r';
    if (length == 0 || control) {
      Location where = start;
      if (start.line > 0) where = {start.source, line, column};
      findings.add(where, "",
                   length == 0 ? fmt::format("the byte 0x{:02x} is not UTF-8", c)
                               : fmt::format("the control character 0x{:02x} is not allowed", c),
                   "expected a YAML text in UTF-8");
      return false;
    }
    i += length;
    ++column;
    if (c == '\n') {
      ++line;
      column = 1;
    }
  }
  return true;
}

std::string_view line_of(std::string_view text, int line) {
  for (int i = 1; i < line; ++i) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

bool indented_by_tab(std::string_view line) {
  const std::size_t content = line.find_first_not_of(" \t");
  return content != std::string_view::npos &&
         line.substr(0, content).find('\t') != std::string_view::npos;
}

// yaml-cpp's words, and what a person should look for.
std::string explain(std::string_view message) {
  const auto has = [message](std::string_view part) {
    return message.find(part) != std::string_view::npos;
  };
  if (has("illegal map value")) {
    return "a `:` where no value can start; look for a wrong indentation, or put quotes around a "
           "text "
           "with `: ` in it";
  }
  if (has("end of map not found") || has("end of sequence not found")) {
    return "the indentation does not fit the lines before; entries of one list or map start in the "
           "same "
           "column";
  }
  if (has("end of map flow not found")) return "a `{` is not closed by `}`, or a `,` is missing";
  if (has("end of sequence flow not found"))
    return "a `[` is not closed by `]`, or a `,` is missing";
  if (has("illegal flow end")) return "a `]` or `}` without its opening bracket";
  if (has("illegal EOF in scalar")) return "a quote is not closed";
  if (has("illegal block entry")) return "a `-` where no list can start; look at the indentation";
  if (has("the referenced anchor is not defined"))
    return "an alias (`*name`) without its anchor (`&name`)";
  if (has("unknown token")) {
    return "a character that cannot start a value; put quotes around a text that starts with @, %, "
           "` or a "
           "tab";
  }
  if (has("unknown escape character"))
    return "an unknown `\\` escape; use single quotes for a text as it is";
  return "";
}

void add_syntax_error(const YAML::Exception& error, std::string_view text, const Location& start,
                      Findings& findings) {
  Location where = start;
  const int last_line = error.mark.is_null() ? 1 : error.mark.line + 1;
  if (start.line > 0 && !error.mark.is_null()) {
    where = {start.source, last_line, error.mark.column + 1};
  }
  // A tab breaks the line it is on or one of the next, where yaml-cpp gives up.
  for (int line = last_line; line >= 1 && line >= last_line - 2; --line) {
    if (!indented_by_tab(line_of(text, line))) continue;
    if (start.line > 0) where = {start.source, line, 1};
    findings.add(where, "", "not valid YAML: the line is indented with a tab",
                 "expected spaces: YAML allows no tabs");
    return;
  }
  const std::string plain = explain(error.msg);
  findings.add(where, "", "not valid YAML: " + (plain.empty() ? error.msg : plain));
}

}  // namespace

std::optional<Value> read_yaml(std::string_view text, std::shared_ptr<const std::string> source,
                               bool has_lines, Findings& findings, const ReadLimits& limits) {
  const Location start{source, has_lines ? 1 : 0, has_lines ? 1 : 0};
  if (text.size() > limits.bytes) {
    findings.add({source, 0, 0}, "", fmt::format("the text has {} bytes", text.size()),
                 fmt::format("expected at most {}", limits.bytes));
    return std::nullopt;
  }
  if (!check_characters(text, start, findings)) return std::nullopt;
  const std::size_t findings_before = findings.errors().size() + findings.dropped();
  TreeBuilder builder(source, has_lines, findings, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const LimitExceeded& error) {
    findings.add(error.where(), "", error.what(), error.advice());
  } catch (const YAML::Exception& error) {
    add_syntax_error(error, text, start, findings);
  }
  if (findings.errors().size() + findings.dropped() > findings_before) return std::nullopt;
  return builder.take();
}

}  // namespace lctl::jobspec
