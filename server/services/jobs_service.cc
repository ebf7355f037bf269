#include "server/services/jobs_service.h"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "server/services/last_lines.h"
#include "server/services/source_check.h"
#include "server/services/status.h"
#include "storage/jobs/job_store.h"
#include "storage/jobs/label_change.h"
#include "storage/search/filter_parsing.h"

namespace lctl::services {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr std::size_t kMaxKeyBytes = 64;
constexpr std::size_t kMaxSubmitterBytes = 256;
constexpr std::size_t kMaxReasonBytes = 1000;
constexpr int kDefaultListLimit = 1000;
constexpr int kMaxListLimit = 10'000;
// Jobs are read and sent in pages: neither a thousand of them nor their ranks make one huge
// message.
constexpr int kJobsRead = 100;
// A search looks at all jobs each time, so it is asked for more at a time.
constexpr int kJobsFound = 1000;
constexpr int kMaxOrders = 8;
constexpr int kMaxShown = 16;
constexpr std::size_t kPageBytes = 1 << 20;
constexpr std::int64_t kMaxGraceMs = 3'600'000;
constexpr std::int64_t kMaxDrillMs = 600'000;

std::optional<jobs::Fault> fault_of(v1::FaultKind kind) {
  switch (kind) {
    case v1::FAULT_KIND_KILL_RANK:
      return jobs::Fault::kKillRank;
    case v1::FAULT_KIND_HANG:
      return jobs::Fault::kHang;
    case v1::FAULT_KIND_PREEMPT:
      return jobs::Fault::kPreempt;
    case v1::FAULT_KIND_PARTITION:
      return jobs::Fault::kPartition;
    case v1::FAULT_KIND_CORRUPT_CHECKPOINT:
      return jobs::Fault::kCorruptCheckpoint;
    default:
      return std::nullopt;
  }
}

// Text of unknown quality as one line of bounded length.
std::string one_line(std::string text, std::size_t limit) {
  if (text.size() > limit) text.resize(limit);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  return text;
}

// Ranks with the same environment share an entry: hundreds of them say little more than one.
void add_environments(const std::vector<storage::ReportedEnvironment>& reported,
                      v1::JobDetails& details) {
  for (const storage::ReportedEnvironment& each : reported) {
    auto& shared = *details.mutable_environments();
    auto same = std::find_if(shared.begin(), shared.end(), [&](const auto& entry) {
      return MessageDifferencer::Equals(entry.environment(), each.environment);
    });
    if (same == shared.end()) {
      *details.add_environments()->mutable_environment() = each.environment;
      same = std::prev(shared.end());
    }
    same->add_ranks(each.rank);
  }
}

absl::StatusOr<std::vector<storage::Order>> orders_of(
    const google::protobuf::RepeatedPtrField<std::string>& texts, std::string_view what, int most) {
  if (texts.size() > most) {
    return absl::InvalidArgumentError(
        fmt::format("{} has {} keys; at most {} are allowed", what, texts.size(), most));
  }
  std::vector<storage::Order> orders;
  for (const std::string& text : texts) {
    auto order = storage::parse_order(text);
    if (!order.ok()) return with_context(order.status(), what);
    orders.push_back(*std::move(order));
  }
  return orders;
}

absl::StatusOr<storage::JobFilter> filter_of(const v1::ListJobsRequest& request) {
  storage::JobFilter filter{.experiments = {},
                            .states = {},
                            .limit = 0,
                            .before = request.before(),
                            .where = {},
                            .order = {},
                            .search = request.search()};
  if (!request.experiment().empty()) filter.experiments = {request.experiment()};
  for (const int state : request.states())
    filter.states.push_back(static_cast<v1::JobState>(state));
  auto where = storage::parse_filter(request.where());
  if (!where.ok()) return with_context(where.status(), "where");
  filter.where = *std::move(where);
  LCTL_ASSIGN_OR_RETURN(filter.order, orders_of(request.order_by(), "order_by", kMaxOrders));
  return filter;
}

// What each of the jobs has under the keys; nothing for no keys.
absl::StatusOr<std::vector<v1::JobValues>> values_of(const storage::JobStore& store,
                                                     const std::vector<v1::Job>& jobs,
                                                     const std::vector<storage::Order>& shown) {
  std::vector<v1::JobValues> rows;
  if (shown.empty()) return rows;
  std::vector<std::string> ids;
  for (const v1::Job& job : jobs) ids.push_back(job.id());
  std::vector<storage::SearchKey> keys;
  for (const storage::Order& each : shown) keys.push_back(each.key);
  LCTL_ASSIGN_OR_RETURN(const auto found, store.values(ids, keys));
  for (const std::vector<storage::FoundValue>& of_job : found) {
    v1::JobValues& row = rows.emplace_back();
    for (const storage::FoundValue& each : of_job) {
      v1::JobValue& value = *row.add_values();
      if (each.text) value.set_text(*each.text);
      if (each.number) value.set_number(*each.number);
    }
  }
  return rows;
}

}  // namespace

grpc::Status JobsService::Submit(grpc::ServerContext*, const v1::SubmitRequest* request,
                                 v1::SubmitResponse* response) {
  const std::string& key = request->idempotency_key();
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return to_grpc(absl::InvalidArgumentError(
        fmt::format("idempotency_key has {} bytes; 1 to {} are expected (a random text, the same "
                    "when the call is repeated)",
                    key.size(), kMaxKeyBytes)));
  }
  LCTL_GRPC_ASSIGN_OR_RETURN(v1::JobSpec spec, check_(request->spec()));
  std::optional<v1::SourceCode> source;
  if (request->has_source()) {
    LCTL_GRPC_RETURN_IF_ERROR(check_source(request->source()));
    source = request->source();
  }
  std::string submitter = one_line(request->submitted_by(), kMaxSubmitterBytes);
  LCTL_GRPC_ASSIGN_OR_RETURN(*response->mutable_job(), sources_.strand.call([&] {
    return sources_.engine.submit(std::move(spec), std::move(submitter), key, std::move(source));
  }));
  return grpc::Status::OK;
}

grpc::Status JobsService::Get(grpc::ServerContext*, const v1::GetJobRequest* request,
                              v1::JobDetails* response) {
  storage::JobStore& store = sources_.store.jobs();
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, store.resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(*response->mutable_job(), store.get(id));
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<v1::Attempt> attempts, store.attempts(id));
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<v1::Transition> transitions, store.transitions(id));
  response->mutable_attempts()->Add(attempts.begin(), attempts.end());
  LCTL_GRPC_RETURN_IF_ERROR(
      add_last_lines(sources_.store.events(), id, *response->mutable_attempts()));
  response->mutable_transitions()->Add(transitions.begin(), transitions.end());
  LCTL_GRPC_ASSIGN_OR_RETURN(std::optional<v1::SourceCode> source,
                             store.source(id, /*with_diff=*/false));
  if (source) *response->mutable_source() = *std::move(source);
  LCTL_GRPC_ASSIGN_OR_RETURN(const auto environments, store.environments(id));
  add_environments(environments, *response);
  sources_.strand.call([&] { sources_.engine.add_live(*response->mutable_job()); });
  return grpc::Status::OK;
}

grpc::Status JobsService::GetSource(grpc::ServerContext*, const v1::GetJobRequest* request,
                                    v1::SourceCode* response) {
  storage::JobStore& store = sources_.store.jobs();
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, store.resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(std::optional<v1::SourceCode> source,
                             store.source(id, /*with_diff=*/true));
  if (!source) {
    return to_grpc(absl::NotFoundError(
        fmt::format("job {}: nothing is known of its code: it was not submitted from a working "
                    "tree of git, or with --no-source",
                    id.str())));
  }
  *response = *std::move(source);
  return grpc::Status::OK;
}

grpc::Status JobsService::List(grpc::ServerContext*, const v1::ListJobsRequest* request,
                               v1::ListJobsResponse* response) {
  if (request->limit() < 0 || request->limit() > kMaxListLimit) {
    return to_grpc(absl::InvalidArgumentError(
        fmt::format("limit is {}; 0 (for {}) to {} are expected", request->limit(),
                    kDefaultListLimit, kMaxListLimit)));
  }
  const int limit = request->limit() == 0 ? kDefaultListLimit : request->limit();
  LCTL_GRPC_ASSIGN_OR_RETURN(storage::JobFilter filter, filter_of(*request));
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<storage::Order> shown,
                             orders_of(request->show(), "show", kMaxShown));
  for (const storage::Order& each : shown) response->add_shown(storage::to_text(each.key));
  const bool searching = !filter.where.empty() || !filter.order.empty() || !filter.search.empty();
  std::size_t bytes = 0;
  while (response->jobs_size() < limit) {
    filter.limit = std::min(searching ? kJobsFound : kJobsRead, limit - response->jobs_size());
    LCTL_GRPC_ASSIGN_OR_RETURN(std::vector<v1::Job> jobs, sources_.store.jobs().list(filter));
    const bool no_more = std::ssize(jobs) < filter.limit;
    sources_.strand.call([&] {
      for (v1::Job& job : jobs) sources_.engine.add_live(job);
    });
    LCTL_GRPC_ASSIGN_OR_RETURN(std::vector<v1::JobValues> values,
                               values_of(sources_.store.jobs(), jobs, shown));
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      bytes += jobs[i].ByteSizeLong();
      filter.before = jobs[i].id();
      *response->add_jobs() = std::move(jobs[i]);
      if (!shown.empty()) {
        bytes += values[i].ByteSizeLong();
        *response->add_values() = std::move(values[i]);
      }
      if (bytes < kPageBytes) continue;
      if (response->jobs_size() < limit) response->set_next_before(filter.before);
      return grpc::Status::OK;
    }
    if (no_more) break;
  }
  return grpc::Status::OK;
}

grpc::Status JobsService::Stop(grpc::ServerContext*, const v1::StopJobRequest* request,
                               v1::Job* response) {
  const std::int64_t grace_ms = request->grace_ms();
  if (grace_ms < -1 || grace_ms > kMaxGraceMs) {
    return to_grpc(absl::InvalidArgumentError(
        fmt::format("grace_ms is {}; -1 (at once), 0 (the job's own) to {} are expected", grace_ms,
                    kMaxGraceMs)));
  }
  std::optional<Duration> grace;
  if (grace_ms != 0) grace = std::chrono::milliseconds(std::max<std::int64_t>(0, grace_ms));
  std::string reason = one_line(request->reason(), kMaxReasonBytes);
  if (reason.empty()) reason = "stopped by the user";
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, sources_.store.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(*response, sources_.strand.call([&] {
    return sources_.engine.stop(id, grace, std::move(reason));
  }));
  return grpc::Status::OK;
}

grpc::Status JobsService::Resume(grpc::ServerContext*, const v1::ResumeJobRequest* request,
                                 v1::Job* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, sources_.store.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(*response,
                             sources_.strand.call([&] { return sources_.engine.resume(id); }));
  return grpc::Status::OK;
}

grpc::Status JobsService::WriteStacks(grpc::ServerContext*, const v1::WriteStacksRequest* request,
                                      v1::Job* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, sources_.store.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(
      *response, sources_.strand.call([&] { return sources_.engine.write_stacks(id); }));
  return grpc::Status::OK;
}

grpc::Status JobsService::Drill(grpc::ServerContext*, const v1::DrillRequest* request,
                                v1::DrillResponse* response) {
  const std::optional<jobs::Fault> fault = fault_of(request->fault());
  if (!fault) {
    return to_grpc(absl::InvalidArgumentError(
        fmt::format("fault {} is not known to this server", static_cast<int>(request->fault()))));
  }
  const std::int64_t duration_ms = request->duration_ms();
  if (duration_ms < 0 || duration_ms > kMaxDrillMs) {
    return to_grpc(absl::InvalidArgumentError(fmt::format(
        "duration_ms is {}; 0 (the fault's own) to {} are expected", duration_ms, kMaxDrillMs)));
  }
  const jobs::DrillRequested wanted{
      .fault = *fault, .rank = request->rank(), .duration = std::chrono::milliseconds(duration_ms)};
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, sources_.store.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(jobs::Drilled drilled, sources_.strand.call([&] {
    return sources_.engine.drill(id, wanted, request->force());
  }));
  response->set_node_name(drilled.before.ranks(request->rank()).node_name());
  response->set_injected_us(drilled.injected_us);
  response->set_duration_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(drilled.duration).count());
  *response->mutable_job() = std::move(drilled.before);
  return grpc::Status::OK;
}

grpc::Status JobsService::SetLabels(grpc::ServerContext*, const v1::SetLabelsRequest* request,
                                    v1::Job* response) {
  storage::LabelChange change{
      .tags = {request->tags().begin(), request->tags().end()},
      .removed_tags = {request->removed_tags().begin(), request->removed_tags().end()},
      .note = {}};
  if (request->has_note()) change.note = request->note();
  LCTL_GRPC_RETURN_IF_ERROR(storage::check_change(change));
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, sources_.store.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(
      *response, sources_.strand.call([&] { return sources_.engine.label(id, change); }));
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<v1::Job>* JobsService::Watch(grpc::CallbackServerContext*,
                                                      const v1::WatchJobRequest* request) {
  return watches_.open(request->job());
}

}  // namespace lctl::services
