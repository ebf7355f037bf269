#include "client/cli/overrides.h"

#include <fmt/format.h>

#include "jobspec/keys/key_table.h"

namespace lctl::cli {

bool is_override(std::string_view argument) {
  if (argument.substr(0, 2) != "--") return false;
  argument.remove_prefix(2);
  const std::string_view key = argument.substr(0, argument.find_first_of("=+"));
  if (key.empty()) return false;
  if (key.find('.') != std::string_view::npos) return key.front() != '.';
  return jobspec::keys::section("").find(key) != nullptr;
}

absl::StatusOr<SplitArguments> split_overrides(const std::vector<std::string>& arguments) {
  SplitArguments split;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      split.own.insert(split.own.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i),
                       arguments.end());
      break;
    }
    if (!is_override(argument)) {
      split.own.push_back(argument);
    } else if (argument.find('=') != std::string::npos) {
      split.overrides.push_back(argument);
    } else if (i + 1 < arguments.size() && arguments[i + 1].substr(0, 2) != "--") {
      split.overrides.push_back(argument + "=" + arguments[++i]);
    } else {
      return absl::InvalidArgumentError(
          fmt::format("{0} needs a value: {0}=VALUE, such as --trainer.max_epochs=3", argument));
    }
  }
  return split;
}

}  // namespace lctl::cli
