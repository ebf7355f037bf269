#include "server/restoring.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/status.h"

namespace lctl::server {
namespace {

constexpr std::int64_t kStepsPerLine = 64;

void show(const storage::WorkProgress& now) {
  if (now.done % kStepsPerLine != 0 && now.done != now.total) return;
  fmt::print(stderr, "\r{}: {} of {}\x1b[K", now.phase, now.done, now.total);
}

void print_json(const storage::RestoreRequest& request, const storage::RestoreReport& report) {
  const nlohmann::ordered_json json = {
      {"backup", report.backup.string()},
      {"data_dir", request.data_dir.string()},
      {"time", static_cast<double>(report.manifest.time_us) / 1e6},
      {"jobs", report.manifest.jobs},
      {"checkpoints", report.manifest.checkpoints},
      {"database_bytes", report.manifest.database_bytes},
      {"chunk_bytes", report.manifest.chunk_bytes},
      {"linked_chunks", report.linked_chunks},
      {"copied_chunks", report.copied_chunks},
      {"missing_chunks", report.manifest.missing_chunks},
  };
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

double mebibytes(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

bool restore(const storage::RestoreRequest& request, bool json) {
  const bool terminal = isatty(STDERR_FILENO) == 1 && !json;
  const auto report =
      storage::restore_backup(request, system_clock(), [&](const storage::WorkProgress& now) {
        if (terminal) show(now);
        return true;
      });
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  if (!report.ok()) {
    fmt::print(stderr, "lctl-server: {}\n", message_of(report.status()));
    return false;
  }
  if (json) {
    print_json(request, *report);
    return true;
  }
  const storage::BackupManifest& manifest = report->manifest;
  fmt::print(
      "restored {} into {}: jobs {}, checkpoints {}, {:.1f} MiB of database, {:.1f} MiB of "
      "checkpoints\n",
      report->backup.string(), request.data_dir.string(), manifest.jobs, manifest.checkpoints,
      mebibytes(manifest.database_bytes), mebibytes(manifest.chunk_bytes));
  if (report->linked_chunks > 0) {
    fmt::print("{} chunks are shared with the backup by hard links\n", report->linked_chunks);
  }
  if (manifest.missing_chunks > 0) {
    fmt::print(
        "{} chunks were lost before the backup was made: `lctl admin check` names the "
        "checkpoints\n",
        manifest.missing_chunks);
  }
  fmt::print("start it: lctl-server --data-dir {}\n", request.data_dir.string());
  return true;
}

}  // namespace lctl::server
