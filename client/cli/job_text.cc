#include "client/cli/job_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "base/clock.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

// The value's name without its type's prefix; "UNKNOWN" for one of a newer server.
std::string short_name(const std::string& full, std::string_view prefix) {
  if (full.rfind(prefix, 0) != 0) return "UNKNOWN";
  return full.substr(prefix.size());
}

bool has_nodes(const v1::Job& job) {
  return job.state() == v1::JOB_STATE_STARTING || job.state() == v1::JOB_STATE_RUNNING ||
         job.state() == v1::JOB_STATE_STOPPING;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

std::string state_name(v1::JobState state) {
  return short_name(v1::JobState_Name(state), "JOB_STATE_");
}

std::string rank_state_name(v1::RankState state) {
  return short_name(v1::RankState_Name(state), "RANK_STATE_");
}

std::string node_state_name(v1::NodeState state) {
  return short_name(v1::NodeState_Name(state), "NODE_STATE_");
}

std::string kind_name(v1::CheckpointKind kind) {
  return lower(short_name(v1::CheckpointKind_Name(kind), "CHECKPOINT_KIND_"));
}

std::string cause_name(v1::EndCause cause) {
  if (cause == v1::END_CAUSE_UNSPECIFIED) return "";
  return lower(short_name(v1::EndCause_Name(cause), "END_CAUSE_"));
}

Tone state_tone(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_SUCCEEDED:
      return Tone::kGood;
    case v1::JOB_STATE_FAILED:
      return Tone::kBad;
    case v1::JOB_STATE_RUNNING:
      return Tone::kAccent;
    case v1::JOB_STATE_STARTING:
    case v1::JOB_STATE_STOPPING:
      return Tone::kBusy;
    default:
      return Tone::kPlain;
  }
}

std::vector<v1::JobState> all_states() {
  return {v1::JOB_STATE_QUEUED,   v1::JOB_STATE_STARTING,  v1::JOB_STATE_RUNNING,
          v1::JOB_STATE_STOPPING, v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED,
          v1::JOB_STATE_STOPPED};
}

std::optional<v1::JobState> state_of_name(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const v1::JobState state : all_states()) {
    if (state_name(state) == upper) return state;
  }
  return std::nullopt;
}

std::string job_title(const v1::Job& job) {
  return fmt::format("{} ({})", job.spec().name(), job.id());
}

int nodes_of(const google::protobuf::RepeatedPtrField<v1::RankStatus>& ranks) {
  std::set<std::string_view> nodes;
  for (const auto& rank : ranks) nodes.insert(rank.node_id());
  return static_cast<int>(nodes.size());
}

std::string elastic_text(const v1::Job& job) {
  if (!job.spec().has_elastic()) return "";
  const int now = has_nodes(job) ? nodes_of(job.ranks()) : 0;
  return fmt::format("{}/{}", now, job.spec().elastic().max_nodes());
}

std::string resources_text(const v1::Job& job, const Look& look) {
  const v1::Resources& resources = job.spec().resources();
  const std::string device = resources.accelerator().empty() || resources.accelerator() == "auto"
                                 ? "device"
                                 : resources.accelerator();
  std::string nodes = counted(resources.nodes(), "node", "nodes");
  if (const v1::Elastic& elastic = job.spec().elastic(); job.spec().has_elastic()) {
    nodes = fmt::format("{}{}{} nodes", elastic.min_nodes(), look.unicode ? "–" : "-",
                        elastic.max_nodes());
    if (has_nodes(job)) nodes = fmt::format("{} of {}", nodes_of(job.ranks()), nodes);
  }
  return fmt::format(
      "{} {} {}", nodes, look.unicode ? "×" : "x",
      counted(resources.devices_per_node(), device, device == "device" ? "devices" : device + "s"));
}

std::string tags_text(const v1::Job& job) {
  std::string text;
  for (const auto& [key, value] : std::map(job.tags().begin(), job.tags().end())) {
    text += (text.empty() ? "" : ", ") + key + "=" + value;
  }
  return text;
}

std::string code_text(const v1::SourceCode& source) {
  constexpr std::size_t kDigits = 12;
  std::string text = source.commit().empty() ? "no commit" : source.commit().substr(0, kDigits);
  if (!source.branch().empty()) text += " on " + source.branch();
  if (source.changed()) text += ", changed";
  return text;
}

std::string file_name_of(const v1::CheckpointWritten& written) {
  const std::size_t slash = written.name().rfind('/');
  return slash == std::string::npos ? written.name() : written.name().substr(slash + 1);
}

std::string local_name_of(const v1::Checkpoint& checkpoint) {
  std::string name = file_name_of(checkpoint.written());
  if (name.empty() || name == "." || name == ".." || printable(name) != name) {
    name = checkpoint.id() + ".ckpt";
  }
  return name;
}

std::string running_time(const v1::Job& job, std::int64_t now_us) {
  if (job.started_us() == 0) return "-";
  const std::int64_t end = job.finished_us() != 0 ? job.finished_us() : now_us;
  return human_duration(Duration(std::max<std::int64_t>(end - job.started_us(), 0)));
}

}  // namespace lctl::cli
