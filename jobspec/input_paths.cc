#include "jobspec/input_paths.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "jobspec/input_source.h"

namespace lctl::jobspec {
namespace {

bool is_pattern(std::string_view text) { return text.find('{') != std::string_view::npos; }

// A URL, or a pattern of some: "{https://a,https://b}/train.tar".
bool is_elsewhere(std::string_view text) {
  return is_url(text) || (is_pattern(text) && text.find("://") != std::string_view::npos);
}

// A folder, or an archive that has one.
void check_folder(const Value& path, const std::string& key, Findings& findings) {
  std::error_code error;
  const auto archive = archive_folder(path.as_string());
  if (archive && !std::filesystem::is_directory(path.as_string(), error)) {
    const Value file(std::string(archive->archive), path.location());
    if (!is_elsewhere(archive->archive)) check_readable(file, key, findings);
    return;
  }
  if (std::filesystem::exists(path.as_string(), error) &&
      !std::filesystem::is_directory(path.as_string(), error)) {
    findings.add(path.location(), key, fmt::format("{} is no folder", path.as_string()),
                 fmt::format("expected a folder, or a {} archive of one", kArchiveEndings));
  } else if (access(path.as_string().c_str(), R_OK | X_OK) != 0) {
    findings.add(path.location(), key,
                 fmt::format("{}: {}", path.as_string(), std::strerror(errno)),
                 "expected a folder that can be read");
  }
}

// A file, a folder of shards, or a pattern.
void check_shards(const Value& path, const std::string& key, Findings& findings) {
  if (is_pattern(path.as_string())) return;
  if (access(path.as_string().c_str(), R_OK) != 0)
    findings.add(path.location(), key,
                 fmt::format("{}: {}", path.as_string(), std::strerror(errno)),
                 "expected shards that can be read");
}

using Check = void (*)(const Value& path, const std::string& key, Findings& findings);

void settle(Value& path, const std::string& key, Check check, const ParseOptions& options,
            Findings& findings) {
  if (path.is_list()) {
    Value::List settled = path.list();
    for (Value& item : settled) settle(item, key, check, options, findings);
    path = Value(std::move(settled), path.location());
    return;
  }
  if (!path.is_string() || path.as_string().empty()) return;
  make_absolute(path, options);
  if (options.check_files && !is_elsewhere(path.as_string())) check(path, key, findings);
}

// Null for arguments that name no input.
Check check_of(std::string_view type) {
  if (type.find("shards") != std::string_view::npos) return check_shards;
  if (type.find("folder") != std::string_view::npos) return check_folder;
  if (type.find("path") != std::string_view::npos) return check_readable;
  return nullptr;
}

}  // namespace

void check_readable(const Value& path, const std::string& key, Findings& findings) {
  std::error_code error;
  if (std::filesystem::is_directory(path.as_string(), error)) {
    findings.add(path.location(), key, fmt::format("{} is a folder", path.as_string()),
                 "expected a file");
  } else if (access(path.as_string().c_str(), R_OK) != 0) {
    findings.add(path.location(), key,
                 fmt::format("{}: {}", path.as_string(), std::strerror(errno)),
                 "expected a file that can be read");
  }
}

void make_absolute(Value& path, const ParseOptions& options) {
  if (!path.is_string() || path.as_string().empty() || path.as_string()[0] == '/') return;
  if (is_elsewhere(path.as_string())) return;
  const std::string& base = path.location().line > 0 ? options.base_dir : options.current_dir;
  if (base.empty()) return;
  path = Value((std::filesystem::path(base) / path.as_string()).lexically_normal().string(),
               path.location());
}

void settle_paths(keys::Kind kind, Value& tree, const char* section, const ParseOptions& options,
                  Findings& findings) {
  Value* entry = tree.find(section);
  const Value* class_path = entry == nullptr ? nullptr : entry->find("class_path");
  Value* init_args = entry == nullptr ? nullptr : entry->find("init_args");
  if (class_path == nullptr || !class_path->is_string() || init_args == nullptr ||
      !init_args->is_map())
    return;
  const keys::Class* table = keys::find_class(kind, class_path->as_string());
  if (table == nullptr) return;
  for (const keys::Argument& argument : table->arguments) {
    const Check check = check_of(argument.type);
    Value* path = check == nullptr ? nullptr : init_args->find(argument.name);
    if (path == nullptr) continue;
    settle(*path, join_key(join_key(section, "init_args"), argument.name), check, options,
           findings);
  }
}

}  // namespace lctl::jobspec
