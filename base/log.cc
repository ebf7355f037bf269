#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace lctl {
namespace {

// All loggers and their one sink. Never destroyed, so that logging works in static destructors.
struct Loggers {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::sink> sink;
  std::map<std::string, std::unique_ptr<spdlog::logger>, std::less<>> by_name;
  spdlog::level::level_enum level = spdlog::level::info;

  Loggers() : sink(std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
    sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %^%L%$ %n %v", spdlog::pattern_time_type::utc));
  }
};

Loggers& loggers() {
  static auto* all = new Loggers;
  return *all;
}

}  // namespace

spdlog::logger& logger(std::string_view name) {
  Loggers& all = loggers();
  const std::lock_guard lock(all.mutex);
  auto found = all.by_name.find(name);
  if (found == all.by_name.end()) {
    auto made = std::make_unique<spdlog::logger>(std::string(name), all.sink);
    made->set_level(all.level);
    made->flush_on(spdlog::level::info);
    found = all.by_name.emplace(std::string(name), std::move(made)).first;
  }
  return *found->second;
}

bool set_log_level(std::string_view level) {
  const auto parsed = spdlog::level::from_str(std::string(level));
  if (parsed == spdlog::level::off && level != "off") return false;
  Loggers& all = loggers();
  const std::lock_guard lock(all.mutex);
  all.level = parsed;
  for (auto& [name, each] : all.by_name) each->set_level(parsed);
  return true;
}

}  // namespace lctl
