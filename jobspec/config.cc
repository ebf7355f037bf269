#include "jobspec/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "jobspec/checks.h"
#include "jobspec/class_parser.h"
#include "jobspec/consistency.h"
#include "jobspec/elastic.h"
#include "jobspec/input_paths.h"
#include "jobspec/job_section.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/overrides.h"
#include "jobspec/yaml_reader.h"
#include "jobspec/yaml_writer.h"

namespace lctl::jobspec {
namespace {

using keys::Kind;

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

bool is_word(const std::string& ckpt_path) {
  return ckpt_path == "last" || ckpt_path == "best" || ckpt_path == "hpc";
}

void settle_ckpt_path(Value& tree, const ParseOptions& options) {
  Value* path = tree.find("ckpt_path");
  if (path != nullptr && path->is_string() && !is_word(path->as_string()))
    make_absolute(*path, options);
}

std::optional<std::int64_t> seed_of(const Value& tree) {
  const Value* seed = tree.find("seed_everything");
  if (seed == nullptr || seed->is_null()) return 0;
  if (seed->is_bool()) return seed->as_bool() ? std::optional<std::int64_t>(0) : std::nullopt;
  return seed->is_int() ? seed->as_int() : 0;
}

// The trainer section without what is kept elsewhere.
void parse_trainer(const Value& tree, const ParseOptions& options, Config& config,
                   Findings& findings) {
  const keys::Class& table = keys::section("trainer");
  config.trainer = Arguments(table, Value::empty_map());
  const Value* trainer = tree.find("trainer");
  if (trainer == nullptr || trainer->is_null()) return;
  if (!trainer->is_map()) {
    findings.add(
        trainer->location(), "trainer",
        fmt::format("expected a map, got {} `{}`", trainer->kind_name(), trainer->preview()));
    return;
  }
  const bool good = check_arguments(table, *trainer, "trainer", trainer->location(),
                                    options.check_available, findings);
  if (const Value* callbacks = trainer->find("callbacks")) {
    config.callbacks = parse_classes(Kind::kCallback, *callbacks, "trainer.callbacks",
                                     options.check_available, findings);
  }
  if (const Value* logger = trainer->find("logger"); logger != nullptr && !logger->is_null()) {
    if (logger->is_bool()) {
      config.logger = logger->as_bool() ? LoggerChoice::kDefault : LoggerChoice::kNone;
    } else {
      config.loggers = parse_classes(Kind::kLogger, *logger, "trainer.logger",
                                     options.check_available, findings);
      config.logger = config.loggers.empty() ? LoggerChoice::kNone : LoggerChoice::kListed;
    }
  }
  if (const Value* profiler = trainer->find("profiler");
      profiler != nullptr && !profiler->is_null()) {
    config.profiler = parse_profiler(*profiler, options.check_available, findings);
  }
  if (!good) return;
  Value given = *trainer;
  given.erase("callbacks");
  given.erase("logger");
  given.erase("profiler");
  config.trainer = Arguments(table, std::move(given));
}

void parse_tune(const Value& tree, const ParseOptions& options, Config& config,
                Findings& findings) {
  const Value* tune = tree.find("tune");
  if (tune == nullptr || tune->is_null()) return;
  if (!tune->is_map()) {
    findings.add(tune->location(), "tune",
                 fmt::format("expected a map, got {} `{}`", tune->kind_name(), tune->preview()));
    return;
  }
  check_arguments(keys::section("tune"), *tune, "tune", tune->location(), options.check_available,
                  findings);
  const auto part = [&](const char* name) -> std::optional<Arguments> {
    const Value* given = tune->find(name);
    if (given == nullptr || given->is_null()) return std::nullopt;
    const std::string key = join_key("tune", name);
    const keys::Class& table = keys::section(key);
    if (!given->is_map()) {
      findings.add(
          given->location(), key,
          fmt::format("expected a map, got {} `{}`", given->kind_name(), given->preview()));
      return std::nullopt;
    }
    if (!check_arguments(table, *given, key, given->location(), options.check_available, findings))
      return std::nullopt;
    return Arguments(table, *given);
  };
  config.tune.scale_batch_size = part("scale_batch_size");
  config.tune.lr_find = part("lr_find");
}

const Value* present(const Value& tree, const char* key) {
  const Value* value = tree.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool needs_optimizer(Command command) {
  return command == Command::kFit || command == Command::kTune;
}

// Puts in Trainer's arguments that only the environment has.
void add_arguments_of_environment(Value& tree, const ParseOptions& options, Findings& findings) {
  if (!options.environment) return;
  for (const keys::Argument& argument : keys::section("trainer").arguments) {
    std::string variable = "PL_TRAINER_" + std::string(argument.name);
    std::transform(variable.begin(), variable.end(), variable.begin(),
                   [](unsigned char letter) { return std::toupper(letter); });
    const char* text = options.environment(variable.c_str());
    if (text == nullptr) continue;
    Value* trainer = tree.find("trainer");
    if (trainer != nullptr && trainer->is_map() && trainer->find(argument.name) != nullptr)
      continue;
    const std::string_view python = text;
    const auto source = std::make_shared<const std::string>(variable + "=" + text);
    auto value = read_yaml(python == "None" ? "null" : python, source, false, findings);
    if (!value.has_value() || (trainer != nullptr && !trainer->is_map() && !trainer->is_null()))
      continue;
    if (trainer == nullptr || trainer->is_null())
      tree.set("trainer", Value::empty_map(Location{source, 0, 0}));
    tree.find("trainer")->set(argument.name, *std::move(value));
  }
}

// A misspelt section is one mistake, not two.
bool is_suggested(std::string_view name, const Findings& findings) {
  return std::any_of(findings.errors().begin(), findings.errors().end(),
                     [&](const SpecError& error) { return error.suggestion == name; });
}

void parse_sections(const ParseOptions& options, Config& config, Findings& findings) {
  Value& tree = config.tree;
  check_arguments(keys::section(""), tree, "", tree.location(), options.check_available, findings);
  config.job = parse_job(tree, options, findings);
  config.seed_everything = seed_of(tree);
  parse_trainer(tree, options, config, findings);
  parse_tune(tree, options, config, findings);
  if (const Value* model = present(tree, "model")) {
    if (auto spec = parse_class(Kind::kModel, *model, "model", options.check_available, findings))
      config.model = *std::move(spec);
  }
  if (const Value* data = present(tree, "data")) {
    if (auto spec = parse_class(Kind::kData, *data, "data", options.check_available, findings))
      config.data = *std::move(spec);
  }
  if (const Value* optimizer = present(tree, "optimizer")) {
    config.optimizer =
        parse_class(Kind::kOptimizer, *optimizer, "optimizer", options.check_available, findings);
  } else if (needs_optimizer(options.command) && !is_suggested("optimizer", findings)) {
    findings.add(tree.location(), "optimizer", "is missing",
                 "training needs an optimizer such as AdamW");
  }
  if (const Value* scheduler = present(tree, "lr_scheduler")) {
    config.lr_scheduler = parse_lr_scheduler(*scheduler, options.check_available, findings);
  }
  if (const Value* ckpt = present(tree, "ckpt_path"); ckpt != nullptr && ckpt->is_string()) {
    config.ckpt_path = ckpt->as_string();
    if (options.check_files && !config.ckpt_path.empty() && !is_word(config.ckpt_path)) {
      check_readable(*ckpt, "ckpt_path", findings);
    }
  }
}

}  // namespace

std::string Config::canonical_yaml() const { return write_yaml(tree); }

absl::StatusOr<Config> parse(std::string_view yaml, const ParseOptions& options) {
  Findings findings;
  return parse(yaml, options, findings);
}

absl::StatusOr<Config> parse(std::string_view yaml, const ParseOptions& options,
                             Findings& findings) {
  Config config;
  const auto source = std::make_shared<const std::string>(options.file_name);
  if (!is_utf8(options.file_name)) {
    findings.add({source, 0, 0}, "", "the name of the file is not UTF-8", "rename it");
    return findings.status();
  }
  std::optional<Value> tree = read_yaml(yaml, source, true, findings);
  if (!tree.has_value()) return findings.status();
  if (tree->is_null()) *tree = Value::empty_map(Location{source, 1, 1});
  if (!tree->is_map()) {
    findings.add(tree->location(), "",
                 fmt::format("expected a map of sections, got {}", tree->kind_name()),
                 "expected model:, data:, optimizer:, trainer:, job:");
    return findings.status();
  }
  config.tree = *std::move(tree);
  add_arguments_of_environment(config.tree, options, findings);
  apply_overrides(options.overrides, config.tree, findings);
  settle_paths(Kind::kData, config.tree, "data", options, findings);
  settle_paths(Kind::kModel, config.tree, "model", options, findings);
  settle_ckpt_path(config.tree, options);
  parse_sections(options, config, findings);
  if (findings.empty()) check_consistency(config, options.command, findings);
  if (findings.empty()) settle_elastic(config, options.command, findings);
  if (!findings.empty()) return findings.status();
  config.job.set_config_yaml(config.canonical_yaml());
  if (config.job.config_yaml().size() > kMaxFileBytes) {
    findings.add({source, 0, 0}, "",
                 fmt::format("the configuration has {} bytes once aliases and overrides are in it",
                             config.job.config_yaml().size()),
                 fmt::format("expected at most {}", kMaxFileBytes));
    return findings.status();
  }
  config.job.set_config_name(options.file_name);
  // Informational, and protobuf takes UTF-8 only.
  if (is_utf8(options.current_dir)) config.job.set_submit_dir(options.current_dir);
  config.job.set_ckpt_path(config.ckpt_path);
  return config;
}

absl::StatusOr<std::vector<ClassSpec>> parse_transforms(std::string_view yaml,
                                                        const std::string& name) {
  Findings findings;
  const auto source = std::make_shared<const std::string>(name);
  const std::optional<Value> list = read_yaml(yaml, source, true, findings);
  if (!list.has_value()) return findings.status();
  std::vector<ClassSpec> transforms =
      parse_transform_list(*list, "", /*check_available=*/true, findings);
  if (!findings.empty()) return findings.status();
  return transforms;
}

absl::StatusOr<Config> parse_file(const std::string& path, ParseOptions options) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(fmt::format("{}: is a folder; expected a job file", path));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int code = errno;
    const std::string text = fmt::format("{}: cannot be read: {}", path, std::strerror(code));
    return code == EACCES ? absl::PermissionDeniedError(text) : absl::NotFoundError(text);
  }
  // One byte more than the limit is enough to see that it is exceeded.
  std::string yaml(kMaxFileBytes + 1, '\0');
  in.read(yaml.data(), static_cast<std::streamsize>(yaml.size()));
  yaml.resize(static_cast<std::size_t>(in.gcount()));
  options.file_name = path;
  options.current_dir = std::filesystem::current_path(error).string();
  options.base_dir = std::filesystem::absolute(path, error).parent_path().string();
  return parse(yaml, options);
}

}  // namespace lctl::jobspec
