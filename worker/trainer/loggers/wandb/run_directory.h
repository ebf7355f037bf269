// Where a run of W&B lies on the disk.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"

namespace lctl::wandb {

// Makes <root>/wandb/offline-run-<local time>-<id>/ with files/, and the link latest-run beside it.
// The folder is new: where that second has a run of the id already, it is named after the next one.
// Absolute. Errors are exceptions that name the folder.
std::filesystem::path make_run_directory(const std::string& root, const std::string& id,
                                         WallTime time);

}  // namespace lctl::wandb
