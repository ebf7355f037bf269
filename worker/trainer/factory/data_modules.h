// Data modules by the names that a job file gives them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/factory/batch_share.h"

namespace lctl {

// Its batch sizes are this rank's share.
std::unique_ptr<LightningDataModule> make_data_module(const jobspec::ClassSpec& spec,
                                                      const BatchShare& share = {});
std::vector<std::string_view> data_module_names();

}  // namespace lctl
