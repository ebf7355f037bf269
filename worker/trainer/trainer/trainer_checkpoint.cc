// Trainer: what goes into a checkpoint, and how a run comes back from one.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <stdexcept>

#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/checkpoint/file.h"
#include "worker/trainer/checkpoint/snapshot.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/last_words.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/trainer/rank_states.h"
#include "worker/trainer/trainer/regrouped_state.h"
#include "worker/trainer/trainer/slurm.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
using checkpoint::Dict;

// The layout of Lightning's files that we write and read.
constexpr std::string_view kLightningVersion = "2.6.6";
constexpr std::int64_t kExactStateVersion = 1;

const ModelCheckpoint* first_model_checkpoint(
    const std::vector<std::shared_ptr<Callback>>& callbacks) {
  for (const auto& callback : callbacks) {
    if (const auto* saver = dynamic_cast<const ModelCheckpoint*>(callback.get())) return saver;
  }
  return nullptr;
}

// The numbers of "2.6.6", as far as it has them.
std::array<int, 3> version_numbers(std::string_view text) {
  std::array<int, 3> numbers{};
  for (int& number : numbers) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop == end || *stop != '.') break;
    text = std::string_view(stop + 1, end);
  }
  return numbers;
}

void warn_of_newer_version(const Dict& loaded) {
  const checkpoint::Value* version = loaded.find("pytorch-lightning_version");
  if (version == nullptr || !version->is_string()) return;
  if (version_numbers(version->as_string()) <= version_numbers(kLightningVersion)) return;
  console::warn(fmt::format(
      "The loaded checkpoint was produced with Lightning v{}, which is newer than your current "
      "Lightning version: v{}",
      version->as_string(), kLightningVersion));
}

// Layers may have been frozen or unfrozen since training began.
void restore_gradient_flags(const Dict& state, TrainableModule& module, Strategy& strategy) {
  const checkpoint::Value* frozen = state.find("frozen");
  if (frozen == nullptr) return;  // of an older lctl
  const checkpoint::List& names = frozen->as_list();
  bool changed = false;
  for (const NamedTensor& parameter : module.parameter_list()) {
    const bool learns = std::none_of(
        names.begin(), names.end(),
        [&](const checkpoint::Value& name) { return name.as_string() == parameter.name; });
    if (parameter.tensor.requires_grad() == learns) continue;
    parameter.tensor.set_requires_grad(learns);
    changed = true;
  }
  // Gradients are averaged of the parameters that needed one when the strategy saw the module.
  if (changed && strategy.is_distributed()) strategy.setup_module(module, /*training=*/true);
}

}  // namespace

// ---- saving

Dict Trainer::dump_checkpoint(bool weights_only) {
  Dict checkpoint;
  checkpoint.set("epoch", current_epoch());
  checkpoint.set("global_step", global_step());
  checkpoint.set("pytorch-lightning_version", kLightningVersion);
  checkpoint.set("state_dict", module().state_dict());
  checkpoint.set("loops", progress_.state_dict());
  if (!weights_only) {
    Dict callback_states;
    for (const auto& callback : callbacks_) {
      Dict state = callback->state_dict();
      if (state.size() > 0) callback_states.set(callback->state_key(), std::move(state));
    }
    checkpoint.set("callbacks", std::move(callback_states));
    checkpoint::List optimizer_states;
    for (const auto& optimizer : optimizers_.optimizers)
      optimizer_states.emplace_back(optimizer->state_dict());
    checkpoint.set("optimizer_states", std::move(optimizer_states));
    checkpoint::List schedulers;
    for (const LRSchedulerConfig& config : optimizers_.lr_schedulers)
      schedulers.emplace_back(config.scheduler->state_dict());
    checkpoint.set("lr_schedulers", std::move(schedulers));
    if (!precision_->state_key().empty())
      checkpoint.set(precision_->state_key(), precision_->state_dict());
  }
  if (module().hparams().size() > 0) {
    checkpoint.set("hparams_name", module().hparams_name());
    checkpoint.set("hyper_parameters", module().hparams());
  }
  if (LightningDataModule* data = data_module()) {
    if (data->hparams().size() > 0) {
      checkpoint.set("datamodule_hparams_name", data->hparams_name());
      checkpoint.set("datamodule_hyper_parameters", data->hparams());
    }
    Dict state = [&] {
      const ActionScope action = hooks_.profile_data_module(Hook::state_dict);
      return data->state_dict();
    }();
    if (state.size() > 0) checkpoint.set(data->type_name(), std::move(state));
  }
  if (!weights_only) {
    hooks_.callbacks(Hook::on_save_checkpoint, &Callback::on_save_checkpoint, checkpoint);
  }
  hooks_.module(Hook::on_save_checkpoint, &TrainableModule::on_save_checkpoint, checkpoint);
  if (!weights_only && state_.fn == RunFn::kFit && !failing_) {
    const std::vector<std::string> ranks = strategy_->gather(pack(fit_loop_->exact_state()));
    Dict exact;
    exact.set("version", kExactStateVersion);
    exact.set("world_size", static_cast<std::int64_t>(world_size()));
    checkpoint::List states;
    for (const std::string& rank : ranks) states.push_back(unpack(rank));
    exact.set("ranks", std::move(states));
    checkpoint.set("lctl", std::move(exact));
  }
  return checkpoint;
}

void Trainer::save_checkpoint(const std::string& path, std::optional<bool> weights_only) {
  save_checkpoint_in_background(path, weights_only, nullptr, nullptr);
  finish_checkpoints();
  if (!failing_) strategy_->barrier();
}

void Trainer::save_checkpoint_in_background(const std::string& path,
                                            std::optional<bool> weights_only,
                                            std::function<void()> then,
                                            std::function<void()> done) {
  if (!weights_only) console::info("`weights_only` was not set, defaulting to `False`.");
  const ActionScope action = hooks_.profile("save_checkpoint");
  const Dict checkpoint = dump_checkpoint(weights_only.value_or(false));
  if (!is_global_zero()) return;
  const fs::path file(path);
  if (file.has_parent_path()) fs::create_directories(file.parent_path());
  checkpoint_writer_->write(path, checkpoint, std::move(then), std::move(done));
  if (failing_) finish_checkpoints();
}

void Trainer::remove_checkpoint(const std::string& path, std::function<void()> done) {
  if (is_global_zero()) checkpoint_writer_->remove(path, std::move(done));
}

void Trainer::prepare_checkpoint_memory() {
  expecting_checkpoints_ = true;
  if (!is_global_zero()) return;
  checkpoint::List states;
  states.emplace_back(module().state_dict());
  for (const auto& optimizer : optimizers_.optimizers) states.emplace_back(optimizer->state_dict());
  // Loops and callbacks may have some, too: too small a memory would be made anew while training
  // waits.
  constexpr std::size_t kOthers = std::size_t{4} << 20;
  checkpoint_writer_->expect(kOthers +
                             checkpoint::snapshot_bytes(checkpoint::pickle(std::move(states))));
}

// ---- coming back

std::string Trainer::select_checkpoint(const ResumeFrom& from) const {
  std::string path = from.path;
  const bool saves_on_exception =
      std::any_of(callbacks_.begin(), callbacks_.end(),
                  [](const auto& callback) { return !callback->on_exception_path().empty(); });
  if (path.empty() && !control_->orchestrated() && under_srun() &&
      newest_hpc_checkpoint(default_root_dir()))
    path = "hpc";
  if (path.empty() && saves_on_exception && state_.fn == RunFn::kFit) path = "last";
  if (path == "best") return best_checkpoint();
  if (path == "last") return last_checkpoint();
  if (path == "hpc") return hpc_checkpoint();
  return path;
}

std::string Trainer::best_checkpoint() const {
  const std::string_view fn = fn_name(state_.fn);
  const ModelCheckpoint* saver = first_model_checkpoint(callbacks_);
  const auto savers = std::count_if(callbacks_.begin(), callbacks_.end(), [](const auto& callback) {
    return callback->kind() == Callback::Kind::kCheckpoint;
  });
  if (savers > 1) {
    console::warn(fmt::format(
        "`.{}(ckpt_path=\"best\")` is called with Trainer configured with multiple "
        "`ModelCheckpoint` callbacks. It will use the best checkpoint path from first checkpoint "
        "callback.",
        fn));
  }
  if (saver == nullptr) {
    throw std::invalid_argument(fmt::format(
        "`.{}(ckpt_path=\"best\")` is set but `ModelCheckpoint` is not configured.", fn));
  }
  if (!saver->best_model_path().empty()) return saver->best_model_path();
  if (options_.fast_dev_run > 0) {
    throw std::invalid_argument(
        fmt::format("You cannot execute `.{0}(ckpt_path=\"best\")` with `fast_dev_run=True`. "
                    "Please pass an exact checkpoint path to `.{0}(ckpt_path=...)`",
                    fn));
  }
  throw std::invalid_argument(
      fmt::format("`.{}(ckpt_path=\"best\")` is set but `ModelCheckpoint` is not configured to "
                  "save the best model.",
                  fn));
}

std::string Trainer::last_checkpoint() const {
  if (!is_global_zero()) return {};  // it gets rank 0's answer
  std::vector<std::string> candidates;
  for (const auto& callback : callbacks_) {
    candidates.push_back(callback->on_exception_path());
    if (const auto* saver = dynamic_cast<const ModelCheckpoint*>(callback.get())) {
      for (std::string& path : saver->find_last_checkpoints(*this))
        candidates.push_back(std::move(path));
    }
  }
  std::string newest;
  fs::file_time_type newest_time{};
  for (const std::string& path : candidates) {
    std::error_code absent;
    const fs::file_time_type time = fs::last_write_time(path, absent);
    if (absent || (!newest.empty() && time <= newest_time)) continue;
    newest = path;
    newest_time = time;
  }
  if (newest.empty()) {
    console::warn(
        fmt::format(".{}(ckpt_path=\"last\") is set, but there is no last checkpoint available. No "
                    "checkpoint will be loaded. HINT: Set `ModelCheckpoint(..., save_last=True)`.",
                    fn_name(state_.fn)));
  }
  return newest;
}

std::string Trainer::hpc_checkpoint() const {
  const std::optional<std::int64_t> newest = newest_hpc_checkpoint(default_root_dir());
  if (newest) return hpc_checkpoint_path(default_root_dir(), *newest);
  throw std::invalid_argument(
      fmt::format("`.{0}(ckpt_path=\"hpc\")` is set but no HPC checkpoint was found in {1}. "
                  "Please pass an exact checkpoint path to `.{0}(ckpt_path=...)`",
                  fn_name(state_.fn), default_root_dir()));
}

namespace {

// Whoever chose the file for this run can choose another when it turns out to be no checkpoint.
Dict read_lightning_file(const std::string& path, bool orchestrated) {
  try {
    const checkpoint::Value value = checkpoint::read_file(path);
    if (value.is_dict() && value.as_dict().find("state_dict") != nullptr) return value.as_dict();
    throw checkpoint::NotACheckpoint(path +
                                     ": not a Lightning checkpoint: it has no \"state_dict\"");
  } catch (const checkpoint::NotACheckpoint& error) {
    if (orchestrated) throw UnreadableCheckpoint(error.what());
    throw;
  }
}

}  // namespace

void Trainer::restore_module_and_callbacks(const ResumeFrom& from) {
  ckpt_path_ = strategy_->broadcast(from.path);
  if (ckpt_path_.empty()) return;
  if (!fs::exists(ckpt_path_)) throw std::runtime_error("Checkpoint file not found: " + ckpt_path_);
  console::info("Restoring states from the checkpoint path at " + ckpt_path_);
  loaded_checkpoint_ = std::make_unique<Dict>(read_lightning_file(ckpt_path_, from.orchestrated));
  Dict& loaded = *loaded_checkpoint_;
  warn_of_newer_version(loaded);
  hooks_.module(Hook::on_load_checkpoint, &TrainableModule::on_load_checkpoint, loaded);
  module().load_state_dict(loaded.at("state_dict").as_dict(), module().strict_loading());
  if (LightningDataModule* data = data_module()) {
    if (const auto* state = loaded.find(data->type_name())) {
      const ActionScope action = hooks_.profile_data_module(Hook::load_state_dict);
      data->load_state_dict(state->as_dict());
    }
  }
  const checkpoint::Value* states = loaded.find("callbacks");
  if (states == nullptr) return;
  std::string missing;
  for (const auto& [key, state] : states->as_dict().entries()) {
    const bool here = std::any_of(callbacks_.begin(), callbacks_.end(), [&](const auto& callback) {
      return callback->state_key() == key.as_string();
    });
    if (!here) missing += (missing.empty() ? "\"" : ", \"") + key.as_string() + "\"";
  }
  if (!missing.empty()) {
    console::warn(
        "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint need to be "
        "provided during `Trainer` "
        "instantiation. Please add the following callbacks: [" +
        missing + "].");
  }
  hooks_.callbacks(Hook::on_load_checkpoint, &Callback::on_load_checkpoint, loaded);
  for (const auto& callback : callbacks_) {
    if (const auto* state = states->as_dict().find(callback->state_key()))
      callback->load_state_dict(state->as_dict());
  }
}

void Trainer::restore(const std::string& path) {
  finish_checkpoints();
  const std::string started_from = ckpt_path_;
  const std::int64_t resumed_at_step = resumed_at_step_;
  ResumeFrom from;
  from.path = path;
  from.exact = false;
  restore_module_and_callbacks(from);
  restore_training_state(from);
  fit_loop_->forget_restart();
  ckpt_path_ = started_from;
  resumed_at_step_ = resumed_at_step;
}

void Trainer::restore_training_state(const ResumeFrom& from) {
  if (!loaded_checkpoint_) return;
  const std::unique_ptr<Dict> loaded = std::move(loaded_checkpoint_);
  if (!precision_->state_key().empty()) {
    if (const auto* state = loaded->find(precision_->state_key()))
      precision_->load_state_dict(state->as_dict());
  }
  if (state_.fn != RunFn::kFit) {
    if (const auto* loops = loaded->find("loops")) {
      const char* key = state_.fn == RunFn::kValidate ? "validate_loop" : "test_loop";
      BatchProgress& progress = state_.fn == RunFn::kValidate ? progress_.validate : progress_.test;
      const auto* loop = loops->as_dict().find(key);
      if (loop != nullptr && state_.fn != RunFn::kPredict) {
        progress.load_state_dict(loop->as_dict().at("batch_progress").as_dict());
      }
    }
    console::info("Loaded model weights from the checkpoint at " + ckpt_path_);
    return;
  }
  if (const auto* loops = loaded->find("loops")) {
    progress_.fit.load_state_dict(loops->as_dict().at("fit_loop").as_dict());
    restore_exact_state(*loaded, from);
  }
  const std::int64_t max_epochs = fit_loop_->limits().max_epochs;
  if (max_epochs != -1 && current_epoch() > max_epochs) {
    throw MisconfigurationException(fmt::format(
        "You restored a checkpoint with current_epoch={}, but you have set Trainer(max_epochs={}).",
        current_epoch(), max_epochs));
  }
  const auto part = [&](const char* key, const char* what) -> const checkpoint::List& {
    const checkpoint::Value* value = loaded->find(key);
    if (value == nullptr) {
      throw std::runtime_error(
          fmt::format("{}: Trying to restore {} state but checkpoint contains only the model. This "
                      "is probably due "
                      "to `ModelCheckpoint.save_weights_only` being set to `True`.",
                      ckpt_path_, what));
    }
    return value->as_list();
  };
  const checkpoint::List& optimizer_states = part("optimizer_states", "optimizer");
  for (std::size_t i = 0; i < std::min(optimizer_states.size(), optimizers_.optimizers.size());
       ++i) {
    optimizers_.optimizers[i]->load_state_dict(optimizer_states[i].as_dict());
  }
  const checkpoint::List& scheduler_states = part("lr_schedulers", "learning rate scheduler");
  for (std::size_t i = 0; i < std::min(scheduler_states.size(), optimizers_.lr_schedulers.size());
       ++i) {
    optimizers_.lr_schedulers[i].scheduler->load_state_dict(scheduler_states[i].as_dict());
  }
  resumed_at_step_ = global_step();
  console::info("Restored all states from the checkpoint at " + ckpt_path_);
}

void Trainer::restore_exact_state(const Dict& loaded, const ResumeFrom& from) {
  const checkpoint::Value* value = from.exact ? loaded.find("lctl") : nullptr;
  const Dict* exact = value != nullptr ? &value->as_dict() : nullptr;
  if (exact != nullptr && exact->at("version").as_int() != kExactStateVersion) {
    console::warn(
        fmt::format("the checkpoint's exact state has version {}, this trainer reads {}: resuming "
                    "in Lightning's way",
                    exact->at("version").as_int(), kExactStateVersion));
    exact = nullptr;
  }
  const checkpoint::List* ranks = exact != nullptr ? &exact->at("ranks").as_list() : nullptr;
  if (ranks == nullptr || ranks->empty()) {
    fit_loop_->mark_loaded();
    return;
  }
  const auto seed = static_cast<std::uint64_t>(global_seed().value_or(0) + global_step());
  const Dict state = regrouped_state(*ranks, global_rank(), world_size(), seed);
  if (state.at("position").as_int() == static_cast<std::int64_t>(TrainingPosition::kElsewhere)) {
    fit_loop_->mark_loaded();
    return;
  }
  restore_gradient_flags(state, module(), *strategy_);
  if (from.orchestrated && state.at("should_stop").as_bool()) state_.should_stop = true;
  const double scale = static_cast<double>(exact->at("world_size").as_int()) / world_size();
  if (scale != 1.0) {
    console::warn(
        fmt::format("the checkpoint was written by {} ranks, this run has {}: it goes on at the "
                    "same place of the data, but "
                    "not with the same bits",
                    exact->at("world_size").as_int(), world_size()));
  }
  fit_loop_->restore_exact(state, scale);
}

}  // namespace lctl
