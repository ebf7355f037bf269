#include "server/retention/pass.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"
#include "storage/maintenance/maintenance.h"

namespace lctl::retention {
namespace {

constexpr Duration kFirst = std::chrono::minutes(1);
constexpr Duration kBetween = std::chrono::minutes(10);

spdlog::logger& log() {
  static spdlog::logger& named = logger("retention");
  return named;
}

}  // namespace

RetentionPass::RetentionPass(Options options) : options_(std::move(options)) {
  if (!options_.rules.empty()) next_ = options_.clock.monotonic_now() + kFirst;
}

std::optional<MonotonicTime> RetentionPass::next_deadline() const { return next_; }

void RetentionPass::advance() {
  if (!next_ || options_.clock.monotonic_now() < *next_) return;
  if (const auto done = run(/*dry_run=*/false); !done.ok()) {
    log().warn("what is kept no longer cannot be found: {}; tried again later",
               message_of(done.status()));
  }
  next_ = options_.clock.monotonic_now() + kBetween;
}

absl::StatusOr<std::vector<Removal>> RetentionPass::run(bool dry_run) {
  if (options_.rules.empty()) return std::vector<Removal>();
  std::int64_t store_bytes = 0;
  if (options_.rules.max_store_bytes > 0) {
    LCTL_ASSIGN_OR_RETURN(store_bytes, options_.store.maintenance().used_bytes());
  }
  LCTL_ASSIGN_OR_RETURN(const std::vector<storage::FinishedJob> jobs,
                        options_.store.jobs().finished());
  std::vector<Removal> planned =
      removals(options_.rules, jobs, store_bytes, options_.clock.wall_now());
  if (dry_run) return planned;
  std::vector<Removal> done;
  for (Removal& removal : planned) {
    const absl::Status status = carry_out(removal);
    if (!status.ok()) {
      log().warn("{} of job {} ({}) cannot be removed: {}", name_of(removal.what),
                 removal.job.str(), removal.name, message_of(status));
      continue;
    }
    log().info("removed {} of job {} ({}), about {:.1f} MiB: {}", name_of(removal.what),
               removal.job.str(), removal.name, static_cast<double>(removal.bytes) / (1 << 20),
               removal.reason);
    done.push_back(std::move(removal));
  }
  return done;
}

absl::Status RetentionPass::carry_out(const Removal& removal) {
  switch (removal.what) {
    case What::kCheckpoints:
      return options_.store.checkpoints().trim(removal.job).status();
    case What::kLogs:
      return options_.store.jobs().remove_output(removal.job);
    case What::kJob:
      break;
  }
  return options_.remove_job(removal.job);
}

}  // namespace lctl::retention
