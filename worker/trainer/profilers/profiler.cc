#include "worker/trainer/profilers/profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "worker/trainer/core/console.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnsafe = "\\/:*?\"<>|\n\r\t";
constexpr std::string_view kSpace = " \n\r\t\v\f";

// Unsafe characters, and runs of "_", become one "_"; no space at the ends.
std::string safe_file_name(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    const char kept = kUnsafe.find(c) == std::string_view::npos ? c : '_';
    if (kept == '_' && !safe.empty() && safe.back() == '_') continue;
    safe += kept;
  }
  const std::size_t first = safe.find_first_not_of(kSpace);
  if (first == std::string::npos) return "profile";
  return safe.substr(first, safe.find_last_not_of(kSpace) - first + 1);
}

void append_to_file(const fs::path& path, std::string_view text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.flush();
  if (file) return;
  throw std::runtime_error(fmt::format("profiler: the report cannot be written to {}: {}",
                                       path.string(), std::strerror(errno)));
}

}  // namespace

const Action& Profiler::action(std::string_view name) {
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) return *known->second;
  Action& added = actions_.emplace_back(Action{std::string(name), actions_.size()});
  by_name_.emplace(added.name, &added);
  return added;
}

void Profiler::setup(ProfiledRun run) {
  run_ = std::move(run);
  if (place_.dirpath.empty()) place_.dirpath = run_.log_dir;
}

std::string Profiler::prepare_filename(std::string_view action, std::string_view extension) const {
  std::string name;
  const auto add = [&name](std::string_view part) {
    if (!name.empty() && !part.empty()) name += '-';
    name += part;
  };
  add(run_.stage);
  add(place_.filename);
  if (run_.local_rank) add(std::to_string(*run_.local_rank));
  add(action);
  return safe_file_name(name).append(extension);
}

std::string Profiler::title() const {
  if (run_.stage.empty()) return "Profiler Report";
  std::string stage = run_.stage;
  std::transform(stage.begin(), stage.end(), stage.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return stage + " Profiler Report";
}

void Profiler::describe() {
  const std::string text = summary();
  if (!text.empty()) {
    if (!place_.filename.empty() && !place_.dirpath.empty()) {
      append_to_file(fs::path(place_.dirpath) / prepare_filename("", ".txt"), text);
    } else if (run_.local_rank.value_or(0) == 0) {
      console::info(text);
    }
  }
  teardown();
}

void ActionScope::begin() {
  exceptions_ = std::uncaught_exceptions();
  profiler_->start(*action_);
}

void ActionScope::end() {
  if (std::uncaught_exceptions() == exceptions_) {
    profiler_->stop(*action_);
    return;
  }
  try {
    profiler_->stop(*action_);
  } catch (const std::exception& error) {
    console::warn(fmt::format("the profiler failed at the end of {} after that had failed: {}",
                              action_->name, error.what()));
  }
}

}  // namespace lctl
