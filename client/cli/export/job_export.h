// A job as files of everybody's formats:
//
//   DIR/NAME-ID/job.yaml          its job file, with the defaults
//   DIR/NAME-ID/hparams.yaml      what model and data module saved; absent when they saved nothing
//   DIR/NAME-ID/changes.diff      what differed from its commit; absent when nothing did
//   DIR/NAME-ID/status.json       what `lctl status --json` prints
//   DIR/NAME-ID/metrics.csv       all its curves (metrics_csv.h)
//   DIR/NAME-ID/logs/attempt-1/rank-0.stdout.txt, .stderr.txt
//   DIR/NAME-ID/checkpoints/*.ckpt
//   DIR/NAME-ID/export.json       written last: the export is whole
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/library/client.h"

namespace lctl::cli {

struct JobExport {
  std::string folder;
  std::int64_t points = 0;
  std::int64_t log_bytes = 0;
  std::int64_t checkpoints = 0;  // written now
  std::int64_t checkpoint_bytes = 0;
  bool was_there = false;  // it was exported before and has not changed since: nothing was written
};

struct ExportOptions {
  std::string dir;          // made when absent
  bool checkpoints = true;  // their files too
};

// Tells what is being written.
using ExportProgress = std::function<void(const std::string& text)>;

// Writes the job's files, each of which appears when it is whole. Repeated, it goes on where it was
// cut off: checkpoints that are there are not fetched again, and a job that was exported whole and
// has not changed since (its state, its attempt, when it finished, its checkpoints) is left alone.
// Cancelled when stopped.
absl::StatusOr<JobExport> export_job(client::Client& client, const std::string& job,
                                     const ExportOptions& options, const ExportProgress& progress,
                                     std::stop_token stop);

}  // namespace lctl::cli
