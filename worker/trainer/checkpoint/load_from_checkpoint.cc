#include "worker/trainer/checkpoint/load_from_checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/checkpoint/file.h"
#include "worker/trainer/core/console.h"

namespace lctl::load_from_checkpoint_internal {
namespace {

// Of a load that is not strict: Python's list of each side's own keys.
void warn_of_other_keys(const TrainableModule& module, const checkpoint::Dict& state) {
  std::vector<std::string> missing;
  std::set<std::string, std::less<>> own;
  for (const NamedTensor& item : module.state_list()) {
    own.insert(item.name);
    if (state.find(item.name) == nullptr) missing.push_back("'" + item.name + "'");
  }
  std::vector<std::string> unexpected;
  for (const auto& [key, value] : state.entries()) {
    if (!own.contains(key.as_string())) unexpected.push_back("'" + key.as_string() + "'");
  }
  if (!missing.empty()) {
    console::warn(
        fmt::format("Found keys that are in the model state dict but not in the checkpoint: [{}]",
                    fmt::join(missing, ", ")));
  }
  if (!unexpected.empty()) {
    console::warn(
        fmt::format("Found keys that are not in the model state dict but in the checkpoint: [{}]",
                    fmt::join(unexpected, ", ")));
  }
}

}  // namespace

Loaded load(const std::filesystem::path& file, const char* key, const HParams& changes) {
  const checkpoint::Value value = checkpoint::read_file(file);
  if (!value.is_dict() || value.as_dict().find("state_dict") == nullptr) {
    throw std::runtime_error(file.string() +
                             ": not a Lightning checkpoint: it has no `state_dict`");
  }
  Loaded loaded;
  loaded.file = value.as_dict();
  if (const checkpoint::Value* saved = loaded.file.find(key); saved != nullptr)
    loaded.hparams = saved->as_dict();
  for (const auto& [name, change] : changes.entries()) loaded.hparams.set(name.as_string(), change);
  return loaded;
}

void restore(TrainableModule& module, Loaded& loaded, const std::filesystem::path& file,
             const LoadFromCheckpointOptions& options) {
  module.on_load_checkpoint(loaded.file);
  const checkpoint::Dict& state = loaded.file.at("state_dict").as_dict();
  const bool strict = options.strict.value_or(module.strict_loading());
  if (!strict) warn_of_other_keys(module, state);
  try {
    module.load_state_dict(state, strict);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

void restore(LightningDataModule& data, Loaded& loaded) {
  if (const checkpoint::Value* state = loaded.file.find(data.type_name()); state != nullptr)
    data.load_state_dict(state->as_dict());
}

}  // namespace lctl::load_from_checkpoint_internal
