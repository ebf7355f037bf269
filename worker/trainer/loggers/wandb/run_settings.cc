#include "worker/trainer/loggers/wandb/run_settings.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>

#include "base/id.h"

namespace lctl::wandb {
namespace {

constexpr int kIdLength = 8;

void fill(std::string& value, const EnvironmentLookup& environment, const char* name) {
  if (!value.empty()) return;
  if (const char* text = environment(name)) value = text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

RunSettings settled(RunSettings given, const EnvironmentLookup& environment) {
  fill(given.id, environment, "WANDB_RUN_ID");
  fill(given.id, environment, "LCTL_JOB_ID");
  if (given.id.empty()) given.id = random_id(kIdLength);
  fill(given.project, environment, "WANDB_PROJECT");
  if (given.project.empty()) given.project = "lightning_logs";
  fill(given.root, environment, "WANDB_DIR");
  if (given.root.empty()) given.root = ".";
  fill(given.name, environment, "WANDB_NAME");
  fill(given.entity, environment, "WANDB_ENTITY");
  fill(given.group, environment, "WANDB_RUN_GROUP");
  fill(given.job_type, environment, "WANDB_JOB_TYPE");
  fill(given.notes, environment, "WANDB_NOTES");
  if (const char* tags = environment("WANDB_TAGS"); tags != nullptr && given.tags.empty())
    given.tags = split(tags, ',');
  check_settings(given);
  return given;
}

bool is_disabled(const EnvironmentLookup& environment) {
  const char* given = environment("WANDB_MODE");
  const std::string_view mode = given == nullptr ? "" : given;
  if (mode == "disabled") return true;
  for (const std::string_view known : {"", "online", "offline", "dryrun", "run", "shared"}) {
    if (mode == known) return false;
  }
  throw std::invalid_argument(
      fmt::format("WandbLogger: WANDB_MODE is '{}'; it must be online, offline or disabled", mode));
}

}  // namespace lctl::wandb
