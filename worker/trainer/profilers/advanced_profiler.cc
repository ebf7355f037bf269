#include "worker/trainer/profilers/advanced_profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace lctl {

AdvancedProfiler::AdvancedProfiler(Options options)
    : Profiler({options.dirpath, options.filename}), options_(std::move(options)) {}

CallTable& AdvancedProfiler::table_of(const Action& action) {
  if (action.index >= tables_.size()) tables_.resize(action.index + 1);
  CallTable& table = tables_[action.index];
  if (table.owner() == nullptr) {
    table = CallTable(&action);
    order_.push_back(action.index);
  }
  return table;
}

void AdvancedProfiler::start(const Action& action) {
  table_of(action);
  running_.push_back({&action, options_.now()});
}

void AdvancedProfiler::stop(const Action& action) {
  const std::int64_t now = options_.now();
  if (running_.empty() || running_.back().action != &action) {
    throw std::invalid_argument(fmt::format(
        "Attempting to stop recording an action ({}) which was never started.", action.name));
  }
  const Running done = running_.back();
  running_.pop_back();
  const std::int64_t took = now - done.started;
  if (!running_.empty()) running_.back().inside += took;
  table_of(action).add(action, took - done.inside, took);
  for (const Running& around : running_) {
    if (around.action != &action) table_of(*around.action).add(action, took - done.inside, took);
  }
}

void AdvancedProfiler::dump(const CallTable& table) {
  if (dirpath().empty()) {
    throw std::runtime_error("AdvancedProfiler: dump_stats needs a folder: give dirpath");
  }
  std::error_code error;
  std::filesystem::create_directories(dirpath(), error);
  const std::filesystem::path path =
      std::filesystem::path(dirpath()) / prepare_filename(table.owner()->name, ".prof");
  const std::string bytes = table.marshalled();
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.flush();
  if (!file) {
    throw std::runtime_error(
        fmt::format("AdvancedProfiler: the statistics cannot be written to {}", path.string()));
  }
}

std::string AdvancedProfiler::summary() {
  std::string text = title();
  for (const std::size_t index : order_) {
    const CallTable& table = tables_[index];
    if (options_.dump_stats) dump(table);
    text += "\nProfile stats for: " + table.owner()->name;
    if (run().local_rank) text += fmt::format(" rank: {}", *run().local_rank);
    text += "\n" + table.text(options_.line_count_restriction);
  }
  return text;
}

void AdvancedProfiler::teardown() {
  tables_.clear();
  order_.clear();
}

}  // namespace lctl
