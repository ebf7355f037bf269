// Data modules by the names that a job file gives them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/core/lightning_data_module.h"

namespace lctl {

std::unique_ptr<LightningDataModule> make_data_module(const jobspec::ClassSpec& spec);
std::vector<std::string_view> data_module_names();

}  // namespace lctl
