// The pass that carries the rules out.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "server/retention/rules.h"
#include "storage/store.h"

namespace lctl::retention {

// Every ten minutes, the first time a minute after the start; never without rules. Each removal is
// logged with its reason. Thread rule: one strand only, which must not be the engine's.
class RetentionPass {
 public:
  struct Options {
    Rules rules;
    storage::Store& store;  // all references must outlive it
    const Clock& clock;
    // Deletes a whole job: through the engine, which knows whether somebody is resuming it.
    std::function<absl::Status(const JobId&)> remove_job;
  };
  explicit RetentionPass(Options options);

  // Does what is due.
  void advance();
  std::optional<MonotonicTime> next_deadline() const;

  // What would be removed now, or with `dry_run` false what has been. A removal that fails is left
  // out of the answer, and logged.
  absl::StatusOr<std::vector<Removal>> run(bool dry_run);

 private:
  absl::Status carry_out(const Removal& removal);

  const Options options_;
  std::optional<MonotonicTime> next_;
};

}  // namespace lctl::retention
