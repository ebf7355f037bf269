#include "jobspec/consistency.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "jobspec/checks.h"
#include "jobspec/edit_distance.h"

namespace lctl::jobspec {
namespace {

// Where an argument was given; the class's own place when it was not.
const Location& place_of(const ClassSpec& spec, std::string_view argument) {
  const Value* given = spec.init_args.given().find(argument);
  return given == nullptr ? spec.location : given->location();
}

const Location& place_of(const Config& config, std::string_view trainer_argument) {
  static const Location kNowhere;
  const Value* trainer = config.tree.find("trainer");
  const Value* given = trainer == nullptr ? nullptr : trainer->find(trainer_argument);
  return given == nullptr ? kNowhere : given->location();
}

// "trainer.callbacks.1": the way a user would write it in an override. `list`: callbacks or logger.
std::string key_of_item(const Config& config, std::string_view list, std::size_t index) {
  const Value* trainer = config.tree.find("trainer");
  const Value* items = trainer == nullptr ? nullptr : trainer->find(list);
  const std::string key = join_key("trainer", list);
  return items != nullptr && items->is_list() ? join_key(key, index) : key;
}

bool is_progress_bar(const ClassSpec& callback) {
  return callback.class_name.ends_with("ProgressBar");
}

// Everything that a model logs, with the suffixes that on_step and on_epoch together make.
std::vector<std::string> logged_names(const Config& config, bool with_suffixes) {
  std::vector<std::string> names;
  std::vector<std::string> metrics = {"loss"};
  for (const Value& metric : config.model.init_args.get("metrics").list()) {
    metrics.push_back(metric.as_string());
  }
  for (const std::string_view stage : {"train", "val", "test"}) {
    for (const std::string& metric : metrics) {
      const std::string name = fmt::format("{}/{}", stage, metric);
      names.push_back(name);
      if (!with_suffixes) continue;
      names.push_back(name + "_step");
      names.push_back(name + "_epoch");
    }
  }
  return names;
}

bool is_declarative(const Config& config) {
  return config.model.class_name == "Classifier" || config.model.class_name == "Regressor";
}

std::vector<std::string_view> views_of(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

// A monitored name that the model never logs would fail only at the end of the first epoch.
void check_monitor(const Config& config, const std::string& monitor, const Location& where,
                   const std::string& key, Findings& findings) {
  if (!is_declarative(config) || monitor == "epoch" || monitor == "step" ||
      monitor.starts_with("lr-")) {
    return;
  }
  const std::vector<std::string> known = logged_names(config, /*with_suffixes=*/true);
  if (std::find(known.begin(), known.end(), monitor) != known.end()) return;
  const std::vector<std::string> base = logged_names(config, /*with_suffixes=*/false);
  findings.add(where, key, fmt::format("the model never logs `{}`", monitor),
               "known metrics: " + join_names(views_of(base)),
               nearest_name(monitor, views_of(known)));
}

void check_model(const Config& config, Findings& findings) {
  if (!is_declarative(config)) return;
  const std::vector<std::string> known = logged_names(config, /*with_suffixes=*/false);
  const Value& log = config.model.init_args.get("log");
  for (const Value::Entry& entry : log.map()) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    findings.add(entry.key_location, join_key("model.init_args.log", entry.key),
                 "the model has no such metric", "known metrics: " + join_names(views_of(known)),
                 nearest_name(entry.key, views_of(known)));
  }
}

void check_data(const Config& config, Findings& findings) {
  if (config.data.class_name != "CsvDataModule") return;
  const double share = config.data.init_args.get_double("val_fraction") +
                       config.data.init_args.get_double("test_fraction");
  if (share < 1) return;
  findings.add(place_of(config.data, "val_fraction"), "data.init_args.val_fraction",
               fmt::format("val_fraction and test_fraction make {} together", share),
               "expected less than 1: something must be left to train on");
}

// On the CPU 16-mixed becomes bf16-mixed, which needs no scaler.
bool scales_gradients(const Arguments& trainer) {
  const Value& precision = trainer.get("precision");
  const bool half = precision.is_int()
                        ? precision.as_int() == 16
                        : precision.as_string() == "16-mixed" || precision.as_string() == "16";
  return half && trainer.get_string("accelerator") != "cpu";
}

void check_optimizer(const Config& config, Findings& findings) {
  if (!config.optimizer.has_value()) return;
  if (config.optimizer->class_name == "LBFGS" && scales_gradients(config.trainer)) {
    findings.add(place_of(config, "precision"), "trainer.precision",
                 "AMP and the LBFGS optimizer are not compatible.",
                 "give another precision, such as bf16-mixed, or another optimizer");
  }
  if (config.optimizer->class_name != "SGD") return;
  const Arguments& sgd = config.optimizer->init_args;
  if (sgd.get_bool("nesterov") &&
      (sgd.get_double("momentum") <= 0 || sgd.get_double("dampening") != 0)) {
    findings.add(place_of(*config.optimizer, "nesterov"), "optimizer.init_args.nesterov",
                 "Nesterov momentum requires a momentum and zero dampening",
                 "give momentum, such as 0.9");
  }
}

void check_scheduler_class(const ClassSpec& spec, const std::string& key, Findings& findings) {
  if (spec.class_name == "OneCycleLR") {
    const Arguments& given = spec.init_args;
    const bool total = !given.get("total_steps").is_null();
    const bool product = !given.get("epochs").is_null() && !given.get("steps_per_epoch").is_null();
    if (!total && !product) {
      findings.add(spec.location, key, "OneCycleLR needs its number of steps",
                   "give total_steps, or epochs and steps_per_epoch");
    }
  }
  if (spec.class_name == "SequentialLR") {
    const std::size_t milestones = spec.init_args.get_ints("milestones").size();
    if (milestones + 1 != spec.children.size()) {
      findings.add(place_of(spec, "milestones"), join_key(key, "init_args.milestones"),
                   fmt::format("{} milestones for {} schedulers", milestones, spec.children.size()),
                   "expected one less than schedulers");
    }
  }
  for (std::size_t i = 0; i < spec.children.size(); ++i) {
    const std::string child_key = join_key(join_key(key, "init_args.schedulers"), i);
    if (spec.children[i].class_name == "ReduceLROnPlateau") {
      findings.add(spec.children[i].location, child_key,
                   "ReduceLROnPlateau reads a metric and cannot stand inside another scheduler",
                   "use it alone, with a monitor");
    }
    check_scheduler_class(spec.children[i], child_key, findings);
  }
}

// lr_find runs without the schedulers: their monitor may be anything. scale_batch_size says itself
// when it reaches the end of an epoch and misses it.
void check_lr_scheduler(const Config& config, Command command, Findings& findings) {
  if (!config.lr_scheduler.has_value()) return;
  const LrSchedulerSpec& spec = *config.lr_scheduler;
  check_scheduler_class(spec.scheduler, "lr_scheduler", findings);
  if (spec.scheduler.class_name != "ReduceLROnPlateau") return;
  if (!spec.monitor.has_value()) {
    findings.add(spec.scheduler.location, "lr_scheduler.monitor",
                 "is missing: ReduceLROnPlateau reads a metric", "give one, such as val/loss");
    return;
  }
  if (!spec.strict || command == Command::kTune) return;
  const Value* monitor = config.tree.find("lr_scheduler")->find("monitor");
  check_monitor(config, *spec.monitor, monitor->location(), "lr_scheduler.monitor", findings);
}

void check_model_checkpoint(const Config& config, const ClassSpec& spec, const std::string& key,
                            Findings& findings) {
  const Arguments& given = spec.init_args;
  int triggers = 0;
  for (const char* name : {"every_n_train_steps", "every_n_epochs"}) {
    triggers += given.get(name).is_int() && given.get_int(name) > 0 ? 1 : 0;
  }
  triggers += given.get("train_time_interval").is_null() ? 0 : 1;
  if (triggers > 1) {
    findings.add(spec.location, key,
                 "every_n_train_steps, every_n_epochs and train_time_interval exclude each other",
                 "give one of them; use a second ModelCheckpoint for another");
  }
  const std::int64_t top_k = given.get_int("save_top_k");
  if (given.get("monitor").is_null() && top_k > 1) {
    findings.add(place_of(spec, "save_top_k"), join_key(key, "init_args.save_top_k"),
                 fmt::format("{} best checkpoints of what? There is no monitor", top_k),
                 "give monitor, or save_top_k -1, 0 or 1");
  }
  if (!given.get("monitor").is_null()) {
    check_monitor(config, given.get_string("monitor"), place_of(spec, "monitor"),
                  join_key(key, "init_args.monitor"), findings);
  }
}

// Callbacks keep their state in checkpoints under a name; two with the same name would mix.
std::string state_name(const ClassSpec& spec) {
  const Arguments& given = spec.init_args;
  std::string name = spec.class_name;
  if (name == "EarlyStopping") {
    return name + given.get("monitor").preview() + given.get("mode").preview();
  }
  if (name != "ModelCheckpoint") return "";
  for (const char* key :
       {"monitor", "mode", "every_n_train_steps", "every_n_epochs", "train_time_interval"}) {
    name += " " + given.get(key).preview();
  }
  return name;
}

void check_callbacks(const Config& config, Findings& findings) {
  const std::vector<ClassSpec>& callbacks = config.callbacks;
  for (std::size_t i = 0; i < callbacks.size(); ++i) {
    const ClassSpec& spec = callbacks[i];
    const std::string key = key_of_item(config, "callbacks", i);
    if (spec.class_name == "ModelCheckpoint") {
      check_model_checkpoint(config, spec, key, findings);
      if (!config.trainer.get_bool("enable_checkpointing")) {
        findings.add(
            spec.location, key,
            fmt::format("a ModelCheckpoint, but trainer.enable_checkpointing is false ({})",
                        place_of(config, "enable_checkpointing").str()),
            "remove one of the two");
      }
    }
    if (spec.class_name == "EarlyStopping" && spec.init_args.get_bool("strict")) {
      check_monitor(config, spec.init_args.get_string("monitor"), place_of(spec, "monitor"),
                    join_key(key, "init_args.monitor"), findings);
    }
    if (is_progress_bar(spec) && !config.trainer.get_bool("enable_progress_bar")) {
      findings.add(spec.location, key,
                   fmt::format("a progress bar, but trainer.enable_progress_bar is false ({})",
                               place_of(config, "enable_progress_bar").str()),
                   "remove one of the two");
    }
    const bool needs_logger =
        spec.class_name == "LearningRateMonitor" || spec.class_name == "DeviceStatsMonitor";
    if (needs_logger && config.logger == LoggerChoice::kNone) {
      findings.add(spec.location, key, spec.class_name + " has no logger to write to",
                   "give trainer.logger");
    }
    for (std::size_t j = 0; j < i; ++j) {
      const bool same_state =
          !state_name(spec).empty() && state_name(spec) == state_name(callbacks[j]);
      const bool two_bars = is_progress_bar(spec) && is_progress_bar(callbacks[j]);
      if (!same_state && !two_bars) continue;
      findings.add(
          spec.location, key,
          fmt::format("a second {} beside {} ({})",
                      two_bars ? "progress bar" : spec.class_name + " of the same settings",
                      key_of_item(config, "callbacks", j), callbacks[j].location.str()),
          "remove one of the two");
      break;
    }
  }
}

// The id that a WandbLogger is given; null without one.
const Value& run_id_of(const ClassSpec& wandb) {
  const Value& version = wandb.init_args.get("version");
  return version.is_null() ? wandb.init_args.get("id") : version;
}

void check_wandb_logger(const Config& config, std::size_t index, Findings& findings) {
  const ClassSpec& spec = config.loggers[index];
  const std::string key = key_of_item(config, "logger", index);
  const Value& log_model = spec.init_args.get("log_model");
  const bool logs_models = log_model.is_string() || log_model.as_bool();
  if (spec.init_args.get_bool("offline") && logs_models) {
    findings.add(place_of(spec, "log_model"), join_key(key, "init_args.log_model"),
                 fmt::format("Providing log_model={} and offline=True is an invalid configuration "
                             "since model checkpoints cannot be uploaded in offline mode.",
                             log_model.is_string() ? log_model.as_string() : "True"),
                 "Hint: Set `offline=False` to log your model.");
  }
  for (std::size_t i = 0; i < index; ++i) {
    const ClassSpec& other = config.loggers[i];
    if (other.class_name != spec.class_name || run_id_of(other) != run_id_of(spec)) continue;
    findings.add(spec.location, key,
                 fmt::format("a second WandbLogger beside {} ({}) that writes the same run",
                             key_of_item(config, "logger", i), other.location.str()),
                 "remove one of the two, or give them different ids");
    break;
  }
}

void check_loggers(const Config& config, Findings& findings) {
  for (std::size_t i = 0; i < config.loggers.size(); ++i) {
    if (config.loggers[i].class_name == "WandbLogger") check_wandb_logger(config, i, findings);
  }
}

void check_barebones(const Config& config, Findings& findings) {
  if (!config.trainer.get_bool("barebones")) return;
  const Arguments& trainer = config.trainer;
  const auto refuse = [&](std::string_view name) {
    findings.add(place_of(config, name), join_key("trainer", name),
                 "barebones turns everything off that costs time, this too",
                 "leave it out, or barebones");
  };
  for (const char* name :
       {"enable_checkpointing", "enable_progress_bar", "enable_model_summary", "detect_anomaly"}) {
    if (trainer.has(name) && trainer.get_bool(name)) refuse(name);
  }
  for (const char* name : {"log_every_n_steps", "num_sanity_val_steps"}) {
    if (trainer.has(name) && trainer.get_int(name) != 0) refuse(name);
  }
  const Value& quick = trainer.get("fast_dev_run");
  if (quick.is_bool() ? quick.as_bool() : quick.as_int() != 0) refuse("fast_dev_run");
  const Value* section = config.tree.find("trainer");
  const Value* logger = section->find("logger");
  if (logger != nullptr && !logger->is_null() && config.logger != LoggerChoice::kNone) {
    refuse("logger");
  }
  if (config.profiler.has_value()) refuse("profiler");
}

void check_trainer(const Config& config, Findings& findings) {
  const Arguments& trainer = config.trainer;
  check_barebones(config, findings);
  const Value& interval = trainer.get("val_check_interval");
  const bool by_batches = trainer.get("check_val_every_n_epoch").is_null();
  if (by_batches && trainer.has("val_check_interval") && interval.is_float()) {
    findings.add(place_of(config, "val_check_interval"), "trainer.val_check_interval",
                 fmt::format("`{}` is a share of an epoch, but check_val_every_n_epoch is null: "
                             "batches are counted over epochs",
                             interval.preview()),
                 "expected an int or a time");
  }
  const bool scheduled = std::any_of(
      config.callbacks.begin(), config.callbacks.end(),
      [](const ClassSpec& c) { return c.class_name == "GradientAccumulationScheduler"; });
  if (scheduled && trainer.get_int("accumulate_grad_batches") != 1) {
    findings.add(place_of(config, "accumulate_grad_batches"), "trainer.accumulate_grad_batches",
                 "GradientAccumulationScheduler sets it too", "remove one of the two");
  }
}

}  // namespace

void check_consistency(const Config& config, Command command, Findings& findings) {
  check_trainer(config, findings);
  check_callbacks(config, findings);
  check_loggers(config, findings);
  check_model(config, findings);
  check_data(config, findings);
  check_optimizer(config, findings);
  check_lr_scheduler(config, command, findings);
}

}  // namespace lctl::jobspec
