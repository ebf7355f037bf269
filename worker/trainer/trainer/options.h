// The arguments of Lightning's Trainer, typed and with their defaults. Where Lightning tells an
// unset argument from a given one, so does this: std::optional, empty = not given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lctl {

// An int counts batches, a float is a fraction: 1 and 1.0 mean different things.
using Limit = std::variant<std::int64_t, double>;

inline bool is_zero(const Limit& limit) {
  return std::visit([](auto value) { return value == 0; }, limit);
}

enum class Determinism : std::uint8_t { kUntouched, kOff, kOn, kWarn };

struct TrainerOptions {
  std::string accelerator = "auto";
  std::string strategy = "auto";
  // "auto", a count, or explicit device ids.
  std::variant<std::monostate, std::int64_t, std::vector<std::int64_t>> devices;
  std::int64_t num_nodes = 1;
  std::string precision = "32-true";  // canonical spelling
  std::int64_t fast_dev_run = 0;      // batches; 0 = off
  std::optional<std::int64_t> max_epochs;
  std::optional<std::int64_t> min_epochs;
  std::int64_t max_steps = -1;
  std::optional<std::int64_t> min_steps;
  std::optional<double> max_time;  // seconds
  Limit limit_train_batches = 1.0;
  Limit limit_val_batches = 1.0;
  Limit limit_test_batches = 1.0;
  Limit limit_predict_batches = 1.0;
  Limit overfit_batches = 0.0;
  Limit val_check_interval = 1.0;
  std::optional<double> val_check_time;  // seconds, instead of val_check_interval
  std::optional<std::int64_t> check_val_every_n_epoch = 1;
  std::int64_t num_sanity_val_steps = 2;  // -1 = all
  std::int64_t log_every_n_steps = 50;    // 0 = never
  bool enable_checkpointing = true;
  bool enable_progress_bar = true;
  bool enable_model_summary = true;
  std::int64_t accumulate_grad_batches = 1;
  std::optional<double> gradient_clip_val;
  std::string gradient_clip_algorithm = "norm";  // "norm" or "value"
  Determinism deterministic = Determinism::kUntouched;
  std::optional<bool> benchmark;
  bool inference_mode = true;
  bool use_distributed_sampler = true;
  std::optional<std::string> profiler;  // simple, advanced, pytorch
  bool detect_anomaly = false;
  bool barebones = false;
  bool sync_batchnorm = false;
  std::int64_t reload_dataloaders_every_n_epochs = 0;
  std::string default_root_dir;  // "" = the working folder
  bool enable_autolog_hparams = true;
};

// Applies what some arguments force on others (fast_dev_run, overfit_batches, barebones) and checks
// every range, in Lightning's order and words. Throws MisconfigurationException,
// std::invalid_argument or std::domain_error (Lightning's ValueError and TypeError).
TrainerOptions settle_options(TrainerOptions options);

}  // namespace lctl
