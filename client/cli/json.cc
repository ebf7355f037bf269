#include "client/cli/json.h"

#include <cmath>
#include <map>
#include <string>

#include "client/cli/job_text.h"

namespace lctl::cli {
namespace {

// Text from outside may be no UTF-8: replaced, never an exception.
std::string dumped(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json rank_json(const v1::RankStatus& rank) {
  const bool ended =
      rank.state() == v1::RANK_STATE_EXITED || rank.state() == v1::RANK_STATE_DRAINED;
  return {
      {"rank", rank.rank()},
      {"node", rank.node_name()},
      {"local_rank", rank.local_rank()},
      {"device", rank.device_kind() + ":" + std::to_string(rank.device_index())},
      {"pid", rank.pid() != 0 ? Json(rank.pid()) : Json()},
      {"state", rank_state_name(rank.state())},
      {"exit_code", ended ? Json(rank.exit_code()) : Json()},
      {"message", rank.message()},
      {"parameters_sha256", rank.parameters_sha256()},
  };
}

template <typename Ranks>
Json ranks_json(const Ranks& ranks) {
  Json all = Json::array();
  for (const auto& rank : ranks) all.push_back(rank_json(rank));
  return all;
}

template <typename Map>
Json map_json(const Map& map) {
  Json all = Json::object();
  // Protobuf's maps have no order of their own.
  for (const auto& [key, value] : std::map(map.begin(), map.end())) {
    if constexpr (std::is_same_v<typename Map::mapped_type, double>) {
      all[key] = number_json(value);
    } else {
      all[key] = value;
    }
  }
  return all;
}

Json attempt_json(const v1::Attempt& attempt) {
  Json last_lines = Json::array();
  for (const auto& line : attempt.last_lines()) last_lines.push_back(line);
  return {
      {"number", attempt.number()},
      {"started", time_json(attempt.started_us())},
      {"finished", time_json(attempt.finished_us())},
      {"outcome", attempt.outcome()},
      {"reason", attempt.reason()},
      {"resumed_from_checkpoint", attempt.resumed_from_checkpoint()},
      {"resumed_at_step", attempt.resumed_at_step()},
      {"cause", cause_name(attempt.cause())},
      {"culprit", attempt.has_culprit() ? Json(attempt.culprit()) : Json()},
      {"last_lines", last_lines},
      {"nodes", nodes_of(attempt.ranks())},
      {"ranks", ranks_json(attempt.ranks())},
  };
}

// Null for jobs of a fixed number of nodes.
Json elastic_json(const v1::JobSpec& spec) {
  if (!spec.has_elastic()) return nullptr;
  Json counts = Json::array();
  for (const int count : spec.elastic().node_counts()) counts.push_back(count);
  return {{"min_nodes", spec.elastic().min_nodes()},
          {"max_nodes", spec.elastic().max_nodes()},
          {"node_counts", counts}};
}

Json transition_json(const v1::Transition& transition) {
  return {
      {"time", time_json(transition.time_us())}, {"from", state_name(transition.from())},
      {"to", state_name(transition.to())},       {"attempt", transition.attempt()},
      {"reason", transition.reason()},
  };
}

// Null for jobs whose loader does not measure.
Json data_loading_json(const v1::Progress& progress) {
  if (!progress.has_data_loading()) return nullptr;
  const v1::DataLoading& loading = progress.data_loading();
  Json changes = Json::array();
  for (const v1::WorkerChange& change : loading.changes()) {
    changes.push_back({{"time", time_json(change.time_us())},
                       {"before", change.before()},
                       {"after", change.after()},
                       {"reason", change.reason()}});
  }
  return {{"workers", loading.workers()},
          {"tuned", loading.tuned()},
          {"waited_seconds", number_json(loading.waited_seconds())},
          {"total_seconds", number_json(loading.total_seconds())},
          {"bytes_ahead", loading.bytes_ahead()},
          {"skipped_samples", loading.skipped_samples()},
          {"changes", changes}};
}

Json environment_json(const v1::SharedEnvironment& shared) {
  const v1::RankEnvironment& environment = shared.environment();
  Json ranks = Json::array();
  for (const auto rank : shared.ranks()) ranks.push_back(rank);
  return {{"ranks", ranks},
          {"host", environment.host()},
          {"device", environment.device()},
          {"cpu", environment.cpu()},
          {"cpus", environment.cpus()},
          {"memory_bytes", environment.memory_bytes()},
          {"versions", map_json(environment.versions())}};
}

}  // namespace

Json number_json(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "Infinity" : "-Infinity";
}

Json time_json(std::int64_t unix_us) {
  if (unix_us == 0) return nullptr;
  return static_cast<double>(unix_us) / 1e6;
}

Json job_json(const v1::Job& job) {
  const v1::JobSpec& spec = job.spec();
  const v1::Progress& progress = job.progress();
  Json excluded = Json::array();
  for (const auto& node : job.excluded_nodes()) {
    excluded.push_back({{"node", node.node_name()}, {"reason", node.reason()}});
  }
  return {
      {"id", job.id()},
      {"name", spec.name()},
      {"experiment", spec.experiment()},
      {"state", state_name(job.state())},
      {"attempt", job.attempt()},
      {"restarts", job.restarts()},
      {"step", progress.global_step()},
      {"epoch", progress.epoch()},
      {"max_steps", progress.max_steps()},
      {"max_epochs", progress.max_epochs()},
      {"stage", progress.stage()},
      {"steps_per_second", number_json(progress.steps_per_second())},
      {"metrics", map_json(progress.metrics())},
      {"data_loading", data_loading_json(progress)},
      {"reason", job.reason()},
      {"priority", spec.priority()},
      {"resources",
       {{"nodes", spec.resources().nodes()},
        {"devices", spec.resources().devices_per_node()},
        {"accelerator", spec.resources().accelerator()}}},
      {"elastic", elastic_json(spec)},
      {"nodes", nodes_of(job.ranks())},
      {"tags", map_json(job.tags())},
      {"note", job.note()},
      {"submitted_by", job.submitted_by()},
      {"submitted", time_json(job.submitted_us())},
      {"started", time_json(job.started_us())},
      {"finished", time_json(job.finished_us())},
      {"retries_cancelled", job.retries_cancelled()},
      {"excluded_nodes", excluded},
      {"ranks", ranks_json(job.ranks())},
  };
}

Json details_json(const v1::JobDetails& details, const std::vector<v1::Checkpoint>& checkpoints) {
  Json json = job_json(details.job());
  json["attempts"] = Json::array();
  for (const auto& attempt : details.attempts()) json["attempts"].push_back(attempt_json(attempt));
  json["transitions"] = Json::array();
  for (const auto& change : details.transitions()) {
    json["transitions"].push_back(transition_json(change));
  }
  json["checkpoints"] = Json::array();
  for (const auto& checkpoint : checkpoints) {
    json["checkpoints"].push_back(checkpoint_json(checkpoint));
  }
  json["source"] = details.has_source() ? source_json(details.source()) : Json();
  json["environments"] = Json::array();
  for (const auto& shared : details.environments()) {
    json["environments"].push_back(environment_json(shared));
  }
  return json;
}

Json source_json(const v1::SourceCode& source) {
  Json untracked = Json::array();
  for (const auto& name : source.untracked()) untracked.push_back(name);
  Json json = {{"folder", source.folder()},   {"commit", source.commit()},
               {"branch", source.branch()},   {"remote", source.remote()},
               {"changed", source.changed()}, {"files_left_out", source.files_left_out()},
               {"untracked", untracked},      {"untracked_count", source.untracked_count()}};
  if (!source.diff().empty()) json["diff"] = source.diff();
  return json;
}

Json node_json(const v1::Node& node) {
  Json devices = Json::array();
  for (const auto& device : node.devices()) {
    devices.push_back({{"index", device.index()},
                       {"kind", device.kind()},
                       {"name", device.name()},
                       {"memory_bytes", device.memory_bytes()},
                       {"fault", device.fault()}});
  }
  Json jobs = Json::array();
  for (const auto& id : node.job_ids()) jobs.push_back(id);
  return {
      {"id", node.id()},
      {"name", node.name()},
      {"state", node_state_name(node.state())},
      {"address", node.address()},
      {"version", node.version()},
      {"devices", devices},
      {"devices_in_use", node.devices_in_use()},
      {"cpus", node.cpus()},
      {"memory_bytes", node.memory_bytes()},
      {"load_1m", number_json(node.load_1m())},
      {"last_seen", time_json(node.last_seen_us())},
      {"drained", time_json(node.drained_us())},
      {"drain_reason", node.drain_reason()},
      {"jobs", jobs},
  };
}

Json checkpoint_json(const v1::Checkpoint& checkpoint) {
  const v1::CheckpointWritten& written = checkpoint.written();
  const bool scored = !written.monitor().empty();
  return {
      {"id", checkpoint.id()},
      {"job", checkpoint.job_id()},
      {"attempt", checkpoint.attempt()},
      {"step", written.global_step()},
      {"epoch", written.epoch()},
      {"kind", kind_name(written.kind())},
      {"name", written.name()},
      {"size", written.size()},
      {"stored_bytes", checkpoint.stored_bytes()},
      {"monitor", scored ? Json(written.monitor()) : Json()},
      {"score", scored ? number_json(written.score()) : Json()},
      {"best", written.is_best()},
      {"last", written.is_last()},
      {"time", time_json(checkpoint.time_us())},
      {"sha256", checkpoint.sha256()},
      {"damage", checkpoint.damage()},
  };
}

Json point_json(const v1::MetricPoint& point) {
  return {{"step", point.step()},
          {"epoch", point.epoch()},
          {"time", time_json(point.time_us())},
          {"value", number_json(point.value())}};
}

Json summary_json(const v1::MetricSummary& summary) {
  return {{"key", summary.key()},
          {"points", summary.points()},
          {"last", point_json(summary.last())},
          {"min", number_json(summary.min())},
          {"max", number_json(summary.max())}};
}

void print_json(std::ostream& out, const Json& value) { out << dumped(value, 2) << '\n'; }

void print_json_line(std::ostream& out, const Json& value) {
  out << dumped(value, -1) << '\n' << std::flush;
}

void print_json_rows(std::ostream& out, const std::vector<Json>& rows) {
  out << '[';
  const char* separator = "\n";
  for (const Json& row : rows) {
    out << separator << dumped(row, -1);
    separator = ",\n";
  }
  out << (rows.empty() ? "]\n" : "\n]\n");
}

}  // namespace lctl::cli
