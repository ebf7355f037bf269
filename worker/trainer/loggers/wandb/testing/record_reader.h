// Reads .wandb files as W&B's programs do, for tests.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/loggers/wandb/records.pb.h"

namespace lctl::wandb {

// The whole records of a file's bytes; reading ends at the first that is torn. Checksums that are
// wrong elsewhere are failures of the test.
std::vector<std::string> payloads_of(std::string_view bytes);

std::string bytes_of(const std::filesystem::path& file);

std::vector<records::Record> records_of(const std::filesystem::path& file);

// The one run in <root>/wandb: its .wandb file.
std::filesystem::path only_run_in(const std::filesystem::path& root);

}  // namespace lctl::wandb
