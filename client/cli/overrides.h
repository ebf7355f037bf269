// Dotted overrides on the command line, `--trainer.max_epochs=3`, told apart from lctl's options.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lctl::cli {

struct SplitArguments {
  std::vector<std::string> own;        // what lctl parses
  std::vector<std::string> overrides;  // each as "--a.b=VALUE" or "--a.b+=VALUE"
};

// True for "--x.y…", and for the top-level keys of a job file ("--seed_everything", "--ckpt_path").
bool is_override(std::string_view argument);

// Takes the overrides out. LightningCLI's form "--trainer.max_epochs 3" becomes one with "=";
// InvalidArgument when a value is missing. Everything behind a lone "--" stays as it is.
absl::StatusOr<SplitArguments> split_overrides(const std::vector<std::string>& arguments);

}  // namespace lctl::cli
