// Elastic gangs that could run on more nodes: when they are asked to end, to be placed again.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/jobs/engine.h"

namespace lctl::jobs {
namespace {

// Numbers of nodes beyond its own that the job may run on, most first.
std::vector<int> larger_than(int nodes, const v1::JobSpec& spec) {
  std::vector<int> larger;
  for (const int count : spec.elastic().node_counts()) {
    if (count > nodes) larger.push_back(count);
  }
  return larger;
}

}  // namespace

// Whether the attempt is to end for it now, its checkpoint being as fresh as it gets.
bool JobsEngine::growth_is_due(const JobRecord& record, MonotonicTime time) const {
  const GrowthState& growth = record.growth;
  if (growth.under_way) return true;
  if (!growth.possible_since) return false;
  const Duration patience = std::chrono::milliseconds(record.spec->checkpoint_every_ms());
  return growth.checkpoint_since || time - *growth.possible_since >= patience;
}

// Fills in what the scheduler needs to know of a gang that may grow.
void JobsEngine::describe_growth(const JobRecord& record, scheduler::RunningGang& gang) {
  const v1::JobSpec& spec = *record.spec;
  // One that begins anew each time has nothing to gain.
  if (!spec.has_elastic() || spec.restart_from() == v1::RESTART_FROM_NONE) return;
  const bool runs = record.job.state() == v1::JOB_STATE_RUNNING && !is_ending(record);
  if (!runs && !(record.growth.under_way && is_preempted(record))) return;
  std::vector<int> larger = larger_than(static_cast<int>(nodes_of(record.attempt).size()), spec);
  if (larger.empty()) return;
  const Moment time = now();
  if (runs) {
    const Duration ran = std::max<Duration>(
        Duration::zero(), time.wall - from_unix_micros(record.attempt.started_us()));
    if (const Duration left = options_.growth.minimum_run - ran; left > Duration::zero()) {
      wake_in(left);
      return;
    }
  }
  gang.larger = std::move(larger);
  gang.devices_per_node = spec.resources().devices_per_node();
  gang.submitted = record.job.submitted_us();
  gang.claims = growth_is_due(record, time.monotonic);
  for (const v1::ExcludedNode& node : record.job.excluded_nodes())
    gang.excluded.emplace_back(node.node_id());
  gang.excluded.insert(gang.excluded.end(), record.avoided.begin(), record.avoided.end());
}

void JobsEngine::grow(const scheduler::Decision& decision) {
  const MonotonicTime time = now().monotonic;
  std::map<JobId, int> possible;
  for (const scheduler::Growth& each : decision.grow) possible.emplace(each.job, each.nodes);
  for (auto& [id, record] : records_) {
    GrowthState& growth = record.growth;
    if (growth.under_way) continue;
    const auto found = possible.find(id);
    if (found == possible.end()) {
      growth = {};
      continue;
    }
    // What it needs has been kept for it in this decision only if it was due before.
    const bool due = growth_is_due(record, time);
    if (!growth.possible_since) growth.possible_since = time;
    if (!due) {
      const Duration patience = std::chrono::milliseconds(record.spec->checkpoint_every_ms());
      wake_in(*growth.possible_since + patience - time);
      continue;
    }
    growth.under_way = true;
    handle(record, PreemptRequested{preemption_grace(*record.spec),
                                    fmt::format("grows from {} to {} nodes",
                                                nodes_of(record.attempt).size(), found->second)});
  }
}

void JobsEngine::checkpoint_committed(const JobId& id) {
  const auto found = records_.find(id);
  if (found == records_.end()) return;
  GrowthState& growth = found->second.growth;
  if (!growth.possible_since || growth.checkpoint_since) return;
  growth.checkpoint_since = true;
  reschedule_ = true;
}

// place() runs again after that time, if not before.
void JobsEngine::wake_in(Duration time) {
  const MonotonicTime at = options_.clock.monotonic_now() + time;
  if (!wake_at_ || at < *wake_at_) wake_at_ = at;
}

}  // namespace lctl::jobs
