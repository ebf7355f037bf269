// One run of W&B, written into a folder that `wandb sync` uploads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/loggers/wandb/histogram.h"
#include "worker/trainer/loggers/wandb/record_file.h"
#include "worker/trainer/loggers/wandb/records.pb.h"

namespace lctl::wandb {

// What a run is called, and where it belongs.
struct RunSettings {
  std::string root = ".";  // runs are folders of <root>/wandb
  std::string id;
  std::string project;
  std::string name;
  std::string entity;
  std::string group;
  std::string job_type;
  std::string notes;
  std::vector<std::string> tags;
};

// Throws std::invalid_argument, in W&B's words, for an id, project or tags that W&B refuses.
void check_settings(const RunSettings& settings);

// Makes <root>/wandb/offline-run-<time>-<id>/ with files/ and run-<id>.wandb, and the link
// latest-run. Layout and order of records: docs/formats/wandb.md. A second run of the same id is a
// second folder: W&B joins the two when both are uploaded. What is logged is in the file after
// flush() (a write system call, no sync). Errors are exceptions that name the file.
// Thread rule: one strand only (the training thread).
class Run {
 public:
  explicit Run(RunSettings settings, const Clock& clock = system_clock());
  ~Run();  // as finish() with the exit code 1; an error is lost
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const RunSettings& settings() const { return settings_; }
  const std::filesystem::path& folder() const { return folder_; }  // absolute

  // The x axis of all metrics.
  void define_step_metric(std::string_view name);
  void update_config(const checkpoint::Dict& values);

  // Joins the next row; replaces one of that name which waits for it.
  void add_histogram(std::string name, Histogram histogram);
  // A row of the history, and the summary's new values. Beside what is given it holds the
  // histograms that waited, `_step`, `_runtime` and `_timestamp`.
  void log(std::span<const LoggedMetric> values);

  // A file below files/, and its entry in the summary under `name`: W&B's media of that `type`
  // ("graph-file"). `path`: below files/, without the digest and the extension.
  void add_media(std::string_view name, std::string_view type, const std::string& path,
                 std::string_view extension, std::string_view content);

  void log_artifact(records::Artifact artifact);

  void flush() { file_->flush(); }
  // Ends the file. 0 = the run succeeded.
  void finish(int exit_code);

 private:
  void write(records::Record& record);
  void write_run();
  void write_environment();
  double runtime() const;  // seconds

  const RunSettings settings_;
  const Clock& clock_;
  WallTime started_at_;
  MonotonicTime started_;
  std::filesystem::path folder_;
  std::unique_ptr<RecordFile> file_;  // null: finished
  std::int64_t records_ = 0;
  std::int64_t rows_ = 0;
  std::map<std::string, Histogram> waiting_;
  std::string bytes_;  // kept for its memory
};

}  // namespace lctl::wandb
