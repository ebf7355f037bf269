#include "tests/simulation/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/jobs/job_record.h"
#include "storage/metrics/metric_store.h"

namespace lctl::simulation {
namespace {

using storage::StreamKey;
using storage::StreamKind;

std::string name_of(const AttemptId& attempt, int rank) {
  return fmt::format("rank {} of {}", rank, attempt.str());
}

}  // namespace

std::int64_t Invariants::steps_of(const v1::JobSpec& spec) {
  return std::stoll(spec.environment().at("steps"));
}

void Invariants::violated(std::string what) {
  if (violations_.size() < 10) violations_.push_back(std::move(what));
}

int Invariants::attempts() const {
  int count = 0;
  for (const auto& [id, job] : jobs_) count += static_cast<int>(job.attempts.size());
  return count;
}

// --- commits ---

void Invariants::created(const v1::Job& job, const v1::JobSpec& spec) {
  jobs_[JobId(job.id())] = {.spec = spec, .state = job.state(), .attempts = {}};
}

void Invariants::recorded(std::span<const storage::JobChange> changes) {
  for (const storage::JobChange& change : changes) {
    const JobId id(change.job.id());
    Known& job = jobs_[id];
    if (job.state == v1::JOB_STATE_SUCCEEDED && change.job.state() != job.state) {
      violated(fmt::format("job {} has succeeded and does not stay so", id.str()));
    }
    job.state = change.job.state();
    if (!change.attempt) continue;
    const bool is_new = !job.attempts.contains(change.attempt->number());
    job.attempts[change.attempt->number()] = *change.attempt;
    if (is_new) check_gang(*change.attempt, job, id.str());
  }
}

void Invariants::check_gang(const v1::Attempt& attempt, const Known& job, const std::string& name) {
  std::map<std::string, std::set<int>> devices;
  for (const v1::RankStatus& rank : attempt.ranks()) {
    devices[rank.node_id()].insert(rank.device_index());
  }
  const v1::Resources& wanted = job.spec.resources();
  bool whole = static_cast<int>(devices.size()) == wanted.nodes() &&
               attempt.ranks_size() == wanted.nodes() * wanted.devices_per_node();
  for (const auto& [node, used] : devices) {
    whole = whole && static_cast<int>(used.size()) == wanted.devices_per_node();
  }
  if (!whole)
    violated(fmt::format("attempt {} of job {} is no whole gang", attempt.number(), name));
}

void Invariants::stored_checkpoint(const AttemptId& attempt, const std::string& file) {
  // A repeated commit changes nothing, whatever has become of the attempt.
  if (!checkpoints_.emplace(attempt, file).second) return;
  if (const AttemptNumber newest = jobs_[attempt.job].newest(); attempt.number != newest) {
    violated(fmt::format("a checkpoint of {} was stored, and attempt {} is current", attempt.str(),
                         newest));
  }
}

// --- answers ---

void Invariants::promised(const JobId& job) {
  if (!jobs_.contains(job)) violated(fmt::format("job {} was accepted and is lost", job.str()));
}

void Invariants::took_in(const StreamKey& stream) {
  if (const AttemptNumber newest = jobs_[stream.attempt.job].newest();
      stream.attempt.number != newest) {
    violated(fmt::format("events of {} were taken in, and attempt {} is current",
                         name_of(stream.attempt, stream.rank), newest));
  }
}

// --- nodes ---

// The server counts on that rank no more: its node was lost.
bool Invariants::given_up(const AttemptId& attempt, int rank) const {
  const auto job = jobs_.find(attempt.job);
  if (job == jobs_.end()) return false;
  const auto known = job->second.attempts.find(attempt.number);
  return known != job->second.attempts.end() && rank < known->second.ranks_size() &&
         known->second.ranks(rank).state() == v1::RANK_STATE_LOST;
}

void Invariants::process_started(const NodeId& node, int device, const AttemptId& attempt,
                                 int rank) {
  const std::string name = name_of(attempt, rank);
  if (attempt.number > jobs_[attempt.job].newest()) {
    violated(fmt::format("{} starts, and the store knows no such attempt", name));
  }
  for (const Process& other : running_) {
    const std::string other_name = name_of(other.attempt, other.rank);
    if (other.node == node && other.device == device) {
      violated(fmt::format("{} starts on device {} of {}, where {} runs", name, device, node.str(),
                           other_name));
    }
    if (other.attempt == attempt && other.rank == rank) {
      violated(fmt::format("{} starts and runs already", name));
    }
    if (other.attempt.job != attempt.job || other.attempt.number == attempt.number) continue;
    const bool other_is_older = other.attempt.number < attempt.number;
    if (other_is_older ? !given_up(other.attempt, other.rank) : !given_up(attempt, rank)) {
      violated(
          fmt::format("{} starts while {} runs, and nobody has given that up", name, other_name));
    }
  }
  running_.push_back({node, device, attempt, rank});
}

void Invariants::process_ended(const AttemptId& attempt, int rank) {
  std::erase_if(running_,
                [&](const Process& each) { return each.attempt == attempt && each.rank == rank; });
}

void Invariants::acknowledged(const StreamKey& stream, std::uint64_t offset) {
  std::uint64_t& known = acknowledged_[stream];
  known = std::max(known, offset);
}

// --- at rest ---

void Invariants::check_at_rest(storage::Store& store) {
  for (const Process& each : running_) {
    violated(fmt::format("{} still runs on {}", name_of(each.attempt, each.rank), each.node.str()));
  }
  for (const auto& [id, job] : jobs_) check_job(store, id, job);
  for (const auto& [stream, offset] : acknowledged_) {
    const auto committed = store.events().committed_offset(stream);
    if (!committed.ok() || *committed < offset) {
      violated(fmt::format("{}: acknowledged to byte {}, stored to {}",
                           name_of(stream.attempt, stream.rank), offset,
                           committed.ok() ? *committed : 0));
    }
  }
}

void Invariants::check_job(storage::Store& store, const JobId& id, const Known& known) {
  const auto job = store.jobs().get(id);
  if (!job.ok()) {
    violated(fmt::format("job {} is lost: {}", id.str(), job.status().ToString()));
    return;
  }
  if (!jobs::is_final(job->state()) && job->state() != v1::JOB_STATE_QUEUED) {
    violated(fmt::format("job {} does not come to an end: {}", id.str(), job->reason()));
  }
  if (job->attempt() != known.newest()) {
    violated(fmt::format("job {} is at attempt {}, {} were committed", id.str(), job->attempt(),
                         known.newest()));
  }
  check_history(store, *job);
  check_streams(store, id, known);
  check_output(store, id);
  if (!known.attempts.empty()) check_curve(store, id, known);
}

void Invariants::check_history(storage::Store& store, const v1::Job& job) {
  const auto rows = store.jobs().transitions(JobId(job.id()));
  v1::JobState at = v1::JOB_STATE_UNSPECIFIED;
  bool sound = rows.ok();
  for (std::size_t i = 0; sound && i < rows->size(); ++i) {
    sound = (*rows)[i].from() == at && !(*rows)[i].reason().empty();
    at = (*rows)[i].to();
  }
  if (!sound || at != job.state() || job.reason().empty()) {
    violated(
        fmt::format("the history of job {} has a gap, or a change without a reason", job.id()));
  }
  if (job.restarts() > job.spec().max_restarts()) {
    violated(fmt::format("job {} was restarted {} times", job.id(), job.restarts()));
  }
  const auto attempts = store.jobs().attempts(JobId(job.id()));
  int number = 0;
  for (const v1::Attempt& attempt : *attempts) {
    const bool good = attempt.outcome() == jobs::outcome::kSucceeded ||
                      attempt.outcome() == jobs::outcome::kStopped;
    if (attempt.number() != ++number || attempt.outcome().empty() || attempt.finished_us() == 0 ||
        good != (attempt.cause() == v1::END_CAUSE_UNSPECIFIED)) {
      violated(fmt::format("attempt {} of job {} has no clear end", attempt.number(), job.id()));
    }
  }
}

// DRAINED means that all the rank has written is stored.
void Invariants::check_streams(storage::Store& store, const JobId& id, const Known& job) {
  for (const auto& [number, attempt] : job.attempts) {
    for (const v1::RankStatus& rank : attempt.ranks()) {
      const auto found = written_.find({{id, number}, rank.rank()});
      if (rank.state() != v1::RANK_STATE_DRAINED || found == written_.end()) continue;
      const StreamKey events{{id, number}, rank.rank(), StreamKind::kEvents};
      const StreamKey output{{id, number}, rank.rank(), StreamKind::kStdout};
      const auto events_end = store.events().committed_offset(events);
      const auto output_end = store.events().committed_offset(output);
      if (!events_end.ok() || *events_end < found->second.events_end || !output_end.ok() ||
          *output_end < found->second.output.size()) {
        violated(fmt::format("{} counts as drained, and what it wrote is not all stored",
                             name_of({id, number}, rank.rank())));
      }
    }
  }
}

void Invariants::check_output(storage::Store& store, const JobId& id) {
  storage::EventStore::TextQuery query{.job = id};
  std::map<StreamKey, std::string> texts;
  while (true) {
    const auto page = store.events().read_text(query);
    if (!page.ok() || page->chunks.empty()) break;
    for (const auto& chunk : page->chunks) {
      std::string& text = texts[chunk.stream];
      if (chunk.offset != text.size()) {
        violated(fmt::format("the output of {} is stored with a gap or twice",
                             name_of(chunk.stream.attempt, chunk.stream.rank)));
      }
      text += chunk.text;
    }
    query.after_id = page->last_id;
  }
  for (const auto& [stream, text] : texts) {
    const auto found = written_.find({stream.attempt, stream.rank});
    if (found == written_.end() || !found->second.output.starts_with(text)) {
      violated(fmt::format("the stored output of {} is not what it wrote",
                           name_of(stream.attempt, stream.rank)));
    }
  }
}

// Every point that is stored was written, and is there once; on the curve of a job that has
// succeeded is every step once.
void Invariants::check_curve(storage::Store& store, const JobId& id, const Known& job) {
  std::vector<std::pair<AttemptNumber, std::int64_t>> expected, found;
  for (const auto& [number, attempt] : job.attempts) {
    const StreamKey stream{{id, number}, 0, StreamKind::kEvents};
    const auto committed = store.events().committed_offset(stream);
    for (const auto& [end, step] : written_[{{id, number}, 0}].points) {
      if (committed.ok() && end <= *committed) expected.emplace_back(number, step);
    }
  }
  const auto all = store.metrics().read({.job = id, .key = "loss", .include_superseded = true});
  if (all.ok()) {
    for (const storage::MetricPoint& point : *all) {
      found.emplace_back(point.attempt, point.step);
      if (point.value != value_at(point.step)) {
        violated(
            fmt::format("job {}: the point of step {} has another value", id.str(), point.step));
      }
    }
  }
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  if (expected != found) {
    violated(fmt::format("job {}: {} points were written and acknowledged, {} are stored", id.str(),
                         expected.size(), found.size()));
  }
  if (job.state != v1::JOB_STATE_SUCCEEDED) return;
  std::vector<std::int64_t> curve, whole;
  const auto points = store.metrics().read({.job = id, .key = "loss"});
  if (points.ok()) {
    for (const storage::MetricPoint& point : *points) curve.push_back(point.step);
  }
  for (std::int64_t step = 0; step < steps_of(job.spec); ++step) whole.push_back(step);
  if (curve != whole) {
    violated(fmt::format("job {} has succeeded, and its curve has {} points for {} steps", id.str(),
                         curve.size(), whole.size()));
  }
}

}  // namespace lctl::simulation
