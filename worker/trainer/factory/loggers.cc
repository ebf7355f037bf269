#include "worker/trainer/factory/loggers.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/loggers/csv_logger.h"

namespace lctl {
namespace {

using jobspec::Arguments;

std::shared_ptr<Logger> make_csv(const Arguments& a) {
  CSVLogger::Options options;
  options.save_dir = a.get_string("save_dir");
  options.name = a.get_optional_string("name").value_or("");
  const jobspec::Value& version = a.get("version");
  if (version.is_int()) options.version = version.as_int();
  if (version.is_string()) options.version = version.as_string();
  options.prefix = a.get_optional_string("prefix").value_or("");
  return std::make_shared<CSVLogger>(std::move(options));
}

struct Entry {
  std::string_view name;
  std::shared_ptr<Logger> (*make)(const Arguments& arguments);
};

constexpr std::array<Entry, 1> kLoggers = {{
    {"CSVLogger", make_csv},
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
      CSVLogger::Options csv;
      csv.save_dir = options.default_root_dir.empty() ? std::filesystem::current_path().string()
                                                      : options.default_root_dir;
      loggers.push_back(std::make_shared<CSVLogger>(std::move(csv)));
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
