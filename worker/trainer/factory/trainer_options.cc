#include "worker/trainer/factory/trainer_options.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/precision/precision.h"

namespace lctl {
namespace {

using jobspec::Arguments;
using jobspec::Value;

Limit limit_of(const Value& value) {
  if (value.is_int()) return value.as_int();
  return value.as_double();
}

void set_if_given(Argument<Limit>& option, const Arguments& arguments, std::string_view name) {
  if (arguments.has(name)) option = limit_of(arguments.get(name));
}

void set_if_given(TrainerOptions::Count& option, const Arguments& arguments,
                  std::string_view name) {
  if (arguments.has(name)) option = arguments.get_int(name);
}

void set_if_given(TrainerOptions::Switch& option, const Arguments& arguments,
                  std::string_view name) {
  if (arguments.has(name)) option = arguments.get_bool(name);
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "auto", 2, "2", "0,2", [0, 2]; a trailing comma makes a list.
void set_devices(const Value& value, TrainerOptions& options) {
  const auto refuse = [&value] {
    throw MisconfigurationException(
        fmt::format("`Trainer(devices={})` value is not a valid input.", value.preview()));
  };
  if (value.is_int()) {
    options.devices = value.as_int();
  } else if (value.is_list()) {
    std::vector<std::int64_t> ids;
    for (const Value& id : value.list()) ids.push_back(id.as_int());
    options.devices = std::move(ids);
  } else if (value.is_string() && value.as_string() != "auto") {
    const std::string& text = value.as_string();
    if (text.find(',') == std::string::npos) {
      const auto count = whole_number(text);
      if (!count) refuse();
      options.devices = *count;
      return;
    }
    std::vector<std::int64_t> ids;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      const auto id = whole_number(std::string_view(text).substr(at, comma - at));
      if (!id) refuse();
      ids.push_back(*id);
      at = comma + 1;
    }
    options.devices = std::move(ids);
  }
}

Determinism determinism_of(const Value& value) {
  if (value.is_null()) return Determinism::kUntouched;
  if (value.is_string()) return Determinism::kWarn;
  return value.as_bool() ? Determinism::kOn : Determinism::kOff;
}

std::string text_of(const Value& value) {
  return value.is_int() ? std::to_string(value.as_int()) : value.as_string();
}

}  // namespace

double seconds_of(const Value& value, std::string_view argument) {
  static constexpr std::array<double, 4> kSeconds = {86400, 3600, 60, 1};
  static constexpr std::array<std::string_view, 4> kUnits = {"days", "hours", "minutes", "seconds"};
  double seconds = 0;
  if (value.is_map()) {
    for (const auto& entry : value.map()) {
      for (std::size_t i = 0; i < kUnits.size(); ++i) {
        if (entry.key == kUnits[i]) seconds += entry.value.as_double() * kSeconds[i];
      }
    }
    return seconds;
  }
  std::string_view rest =
      value.is_string() ? std::string_view(value.as_string()) : std::string_view();
  for (std::size_t i = 0; i < kSeconds.size(); ++i) {
    const std::size_t colon = i + 1 < kSeconds.size() ? rest.find(':') : rest.size();
    const auto number =
        colon == std::string_view::npos ? std::nullopt : whole_number(rest.substr(0, colon));
    if (!number || *number < 0) {
      throw MisconfigurationException(
          fmt::format("Invalid time format for `{}`: '{}'. Expected 'DD:HH:MM:SS'.", argument,
                      value.preview()));
    }
    seconds += static_cast<double>(*number) * kSeconds[i];
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return seconds;
}

TrainerOptions trainer_options(const Arguments& arguments) {
  TrainerOptions options;
  options.accelerator = arguments.get_string("accelerator");
  options.strategy = arguments.get_string("strategy");
  set_devices(arguments.get("devices"), options);
  options.num_nodes = arguments.get_int("num_nodes");
  options.precision = canonical_precision(text_of(arguments.get("precision")));
  const Value& fast_dev_run = arguments.get("fast_dev_run");
  options.fast_dev_run =
      fast_dev_run.is_bool() ? (fast_dev_run.as_bool() ? 1 : 0) : fast_dev_run.as_int();
  options.max_epochs = arguments.get_optional_int("max_epochs");
  options.min_epochs = arguments.get_optional_int("min_epochs");
  options.max_steps = arguments.get_int("max_steps");
  options.min_steps = arguments.get_optional_int("min_steps");
  if (!arguments.get("max_time").is_null())
    options.max_time = seconds_of(arguments.get("max_time"), "max_time");
  set_if_given(options.limit_train_batches, arguments, "limit_train_batches");
  set_if_given(options.limit_val_batches, arguments, "limit_val_batches");
  set_if_given(options.limit_test_batches, arguments, "limit_test_batches");
  set_if_given(options.limit_predict_batches, arguments, "limit_predict_batches");
  set_if_given(options.overfit_batches, arguments, "overfit_batches");
  const Value& interval = arguments.get("val_check_interval");
  if (interval.is_number()) {
    set_if_given(options.val_check_interval, arguments, "val_check_interval");
  } else {
    options.val_check_time = seconds_of(interval, "val_check_interval");
  }
  options.check_val_every_n_epoch = arguments.get_optional_int("check_val_every_n_epoch");
  set_if_given(options.num_sanity_val_steps, arguments, "num_sanity_val_steps");
  set_if_given(options.log_every_n_steps, arguments, "log_every_n_steps");
  set_if_given(options.enable_checkpointing, arguments, "enable_checkpointing");
  set_if_given(options.enable_progress_bar, arguments, "enable_progress_bar");
  set_if_given(options.enable_model_summary, arguments, "enable_model_summary");
  options.accumulate_grad_batches = arguments.get_int("accumulate_grad_batches");
  options.gradient_clip_val = arguments.get_optional_double("gradient_clip_val");
  options.gradient_clip_algorithm =
      arguments.get_optional_string("gradient_clip_algorithm").value_or("norm");
  options.deterministic = determinism_of(arguments.get("deterministic"));
  options.benchmark = arguments.get_optional_bool("benchmark");
  options.inference_mode = arguments.get_bool("inference_mode");
  options.use_distributed_sampler = arguments.get_bool("use_distributed_sampler");
  options.detect_anomaly = arguments.get_bool("detect_anomaly");
  options.barebones = arguments.get_bool("barebones");
  options.sync_batchnorm = arguments.get_bool("sync_batchnorm");
  options.reload_dataloaders_every_n_epochs =
      arguments.get_int("reload_dataloaders_every_n_epochs");
  options.default_root_dir = arguments.get_optional_string("default_root_dir").value_or("");
  options.enable_autolog_hparams = arguments.get_bool("enable_autolog_hparams");
  options.async_checkpoint = arguments.get_bool("async_checkpoint");
  return settle_options(std::move(options));
}

}  // namespace lctl
