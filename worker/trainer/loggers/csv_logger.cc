#include "worker/trainer/loggers/csv_logger.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/loggers/hparams_yaml.h"
#include "worker/trainer/loggers/run_folder.h"

namespace lctl {
namespace {

// csv's minimal quoting.
std::string csv_field(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char character : field) {
    if (character == '"') text.push_back('"');
    text.push_back(character);
  }
  return text + "\"";
}

void write_text(const std::filesystem::path& file, const std::string& text, const char* mode) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.c_str(), mode),
                                                            std::fclose);
  if (out == nullptr || std::fwrite(text.data(), 1, text.size(), out.get()) != text.size() ||
      std::fflush(out.get()) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            fmt::format("writing {}", file.string()));
  }
}

}  // namespace

CSVLogger::CSVLogger(Options options) : options_(std::move(options)) {}
CSVLogger::~CSVLogger() = default;

std::variant<std::int64_t, std::string> CSVLogger::version() {
  if (!version_) {
    version_ =
        settled_version(options_.version, std::filesystem::path(options_.save_dir) / options_.name);
  }
  return *version_;
}

std::string CSVLogger::log_dir() {
  std::filesystem::path dir = options_.save_dir;
  if (!options_.name.empty()) dir /= options_.name;
  return (dir / version_folder(version())).string();
}

void CSVLogger::start() {
  if (std::exchange(started_, true)) return;  // a further run of the same trainer: rows go on
  const std::filesystem::path dir = log_dir();
  std::error_code error;
  if (std::filesystem::exists(dir, error) && !std::filesystem::is_empty(dir, error)) {
    console::warn(fmt::format(
        "Experiment logs directory {} exists and is not empty. Previous log files in this "
        "directory will be deleted when the new ones are saved!",
        dir.string()));
    std::filesystem::remove(dir / "metrics.csv", error);
  }
  std::filesystem::create_directories(dir, error);
  if (error) throw std::system_error(error, fmt::format("creating {}", dir.string()));
}

void CSVLogger::log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) {
  Row row;
  for (const LoggedMetric& metric : metrics) {
    std::string column = options_.prefix.empty()
                             ? std::string(metric.name)
                             : fmt::format("{}-{}", options_.prefix, metric.name);
    row[std::move(column)] = std::visit(
        [](auto value) {
          if constexpr (std::is_same_v<decltype(value), double>) return python_repr(value);
          return std::to_string(value);
        },
        metric.value);
  }
  row["step"] = std::to_string(step);
  for (const auto& [column, cell] : row) {
    const auto place = std::lower_bound(columns_.begin(), columns_.end(), column);
    if (place != columns_.end() && *place == column) continue;
    columns_.insert(place, column);
    header_is_new_ = true;
  }
  rows_.push_back(std::move(row));
}

void CSVLogger::log_hyperparams(const checkpoint::Dict& hparams) {
  if (!hparams_.has_value()) hparams_.emplace();
  for (const auto& [key, value] : hparams.entries()) hparams_->set(key.as_string(), value);
  hparams_saved_ = false;
}

void CSVLogger::save() {
  if (hparams_.has_value() && !hparams_saved_) {
    write_text(std::filesystem::path(log_dir()) / "hparams.yaml", hparams_yaml(*hparams_), "w");
    hparams_saved_ = true;
  }
  if (rows_.size() == saved_rows_) return;
  if (header_is_new_) {
    write_rows(0, true);
  } else {
    write_rows(saved_rows_, false);
  }
  saved_rows_ = rows_.size();
  header_is_new_ = false;
}

void CSVLogger::write_rows(std::size_t first, bool whole_file) {
  std::string text;
  // One cell per column; `cell` gives its text.
  const auto add_line = [&](auto&& cell) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) text.push_back(',');
      text += cell(columns_[i]);
    }
    text += "\r\n";
  };
  if (whole_file) add_line([](const std::string& column) { return csv_field(column); });
  for (std::size_t i = first; i < rows_.size(); ++i) {
    add_line([&](const std::string& column) {
      const auto cell = rows_[i].find(column);
      return cell == rows_[i].end() ? std::string() : csv_field(cell->second);
    });
  }
  write_text(std::filesystem::path(log_dir()) / "metrics.csv", text, whole_file ? "w" : "a");
}

void CSVLogger::finalize(std::string_view /*status*/) { save(); }

}  // namespace lctl
