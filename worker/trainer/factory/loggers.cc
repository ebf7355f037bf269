#include "worker/trainer/factory/loggers.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

#include "jobspec/keys/key_table.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/loggers/csv_logger.h"
#include "worker/trainer/loggers/tensorboard_logger.h"
#include "worker/trainer/loggers/wandb/wandb_logger.h"

namespace lctl {
namespace {

using jobspec::Arguments;

// What loggers that write to a versioned folder have in common.
template <typename Options>
Options folder_options(const Arguments& a) {
  Options options;
  options.save_dir = a.get_string("save_dir");
  options.name = a.get_optional_string("name").value_or("");
  const jobspec::Value& version = a.get("version");
  if (version.is_int()) options.version = version.as_int();
  if (version.is_string()) options.version = version.as_string();
  options.prefix = a.get_optional_string("prefix").value_or("");
  return options;
}

std::shared_ptr<Logger> make_csv(const Arguments& a) {
  return std::make_shared<CSVLogger>(folder_options<CSVLogger::Options>(a));
}

std::shared_ptr<Logger> make_tensorboard(const Arguments& a) {
  auto options = folder_options<TensorBoardLogger::Options>(a);
  options.log_graph = a.get_bool("log_graph");
  options.default_hp_metric = a.get_bool("default_hp_metric");
  options.sub_dir = a.get_optional_string("sub_dir").value_or("");
  const jobspec::Value& purge_step = a.get("purge_step");
  if (purge_step.is_int()) options.writer.purge_step = purge_step.as_int();
  options.writer.max_queue = static_cast<std::size_t>(a.get_int("max_queue"));
  options.writer.flush_secs = std::chrono::seconds(a.get_int("flush_secs"));
  options.writer.filename_suffix = a.get_string("filename_suffix");
  return std::make_shared<TensorBoardLogger>(std::move(options));
}

LogModel log_model_of(const jobspec::Value& given) {
  return given.is_string() ? LogModel(given.as_string().c_str()) : LogModel(given.as_bool());
}

std::vector<std::string> texts_of(const jobspec::Value& list) {
  std::vector<std::string> texts;
  if (list.is_null()) return texts;
  for (const jobspec::Value& item : list.list()) texts.push_back(item.as_string());
  return texts;
}

std::shared_ptr<Logger> make_wandb(const Arguments& a) {
  WandbLogger::Options options;
  options.name = a.get_optional_string("name");
  options.save_dir =
      a.get_optional_string("save_dir").value_or(a.get_optional_string("dir").value_or(""));
  options.version = a.get_optional_string("version");
  options.offline = a.get_bool("offline");
  options.id = a.get_optional_string("id");
  options.project = a.get_optional_string("project");
  options.log_model = log_model_of(a.get("log_model"));
  options.prefix = a.get_string("prefix");
  options.checkpoint_name = a.get_optional_string("checkpoint_name");
  options.add_file_policy = a.get_string("add_file_policy");
  options.entity = a.get_optional_string("entity");
  options.group = a.get_optional_string("group");
  options.job_type = a.get_optional_string("job_type");
  options.tags = texts_of(a.get("tags"));
  options.notes = a.get_optional_string("notes");
  auto logger = std::make_shared<WandbLogger>(std::move(options));
  if (const jobspec::Value& given = a.get("watch"); !given.is_null()) {
    const Arguments watch(jobspec::keys::section("logger.watch"), given);
    logger->watch_trained_module(
        {watch.get_optional_string("log"), watch.get_int("log_freq"), watch.get_bool("log_graph")});
  }
  return logger;
}

struct Entry {
  std::string_view name;
  std::shared_ptr<Logger> (*make)(const Arguments& arguments);
};

constexpr std::array<Entry, 3> kLoggers = {{
    {"CSVLogger", make_csv},
    {"TensorBoardLogger", make_tensorboard},
    {"WandbLogger", make_wandb},
}};

}  // namespace

std::shared_ptr<Logger> make_logger(const jobspec::ClassSpec& spec) {
  for (const Entry& entry : kLoggers) {
    if (spec.class_name == entry.name) return entry.make(spec.init_args);
  }
  throw MisconfigurationException("trainer.logger: unknown class '" + spec.class_name + "'");
}

std::vector<std::shared_ptr<Logger>> make_loggers(const jobspec::Config& config,
                                                  const TrainerOptions& options) {
  std::vector<std::shared_ptr<Logger>> loggers;
  if (options.barebones) return loggers;
  switch (config.logger) {
    case jobspec::LoggerChoice::kNone:
      break;
    case jobspec::LoggerChoice::kListed:
      for (const jobspec::ClassSpec& spec : config.loggers) loggers.push_back(make_logger(spec));
      break;
    case jobspec::LoggerChoice::kDefault: {
      TensorBoardLogger::Options tensorboard;
      tensorboard.save_dir = options.default_root_dir.empty()
                                 ? std::filesystem::current_path().string()
                                 : options.default_root_dir;
      loggers.push_back(std::make_shared<TensorBoardLogger>(std::move(tensorboard)));
      break;
    }
  }
  return loggers;
}

std::vector<std::string_view> logger_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kLoggers) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
