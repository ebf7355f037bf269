// Lightning's CSVLogger: metrics.csv and hparams.yaml in a versioned folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "worker/trainer/loggers/logger.h"

namespace lctl {

// One row per log call; columns are the sorted union of all names seen, `step` among them. A new
// name rewrites the file with the wider header; otherwise save() appends what is new. Line ends are
// CRLF and numbers Python's shortest forms, as csv.DictWriter writes them. Source:
// lightning/fabric/loggers/csv_logs.py (2.6.6). Thread rule: one strand only (the training thread).
class CSVLogger final : public Logger {
 public:
  struct Options {
    std::string save_dir;
    std::string name = "lightning_logs";  // "" drops the directory level
    std::variant<std::monostate, std::int64_t, std::string>
        version;         // unset: one more than the highest there
    std::string prefix;  // "p" makes "p-train/loss"
  };

  explicit CSVLogger(Options options);
  ~CSVLogger() override;

  std::string name() const override { return options_.name; }
  std::variant<std::int64_t, std::string> version() override;
  std::string save_dir() const override { return options_.save_dir; }
  std::string log_dir() override;
  void start() override;
  void log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) override;
  void log_hyperparams(const checkpoint::Dict& hparams) override;
  void save() override;
  void finalize(std::string_view status) override;

 private:
  using Row = std::map<std::string, std::string>;  // column → text of the cell
  void write_rows(std::size_t first, bool whole_file);

  Options options_;
  std::optional<std::variant<std::int64_t, std::string>> version_;
  std::vector<std::string> columns_;  // sorted
  std::vector<Row> rows_;             // all of them: a wider header needs the old ones again
  std::size_t saved_rows_ = 0;
  bool started_ = false;
  bool header_is_new_ = true;
  std::optional<checkpoint::Dict> hparams_;
  bool hparams_saved_ = false;
};

}  // namespace lctl
