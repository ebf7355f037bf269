// Loggers by the names that a job file gives them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

std::shared_ptr<Logger> make_logger(const jobspec::ClassSpec& spec);

// What `trainer.logger` says; the default is a TensorBoardLogger under default_root_dir.
std::vector<std::shared_ptr<Logger>> make_loggers(const jobspec::Config& config,
                                                  const TrainerOptions& options);

std::vector<std::string_view> logger_names();

}  // namespace lctl
