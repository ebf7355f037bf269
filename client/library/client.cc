#include "client/library/client.h"

#include <set>
#include <utility>

#include "base/id.h"
#include "base/status.h"
#include "client/library/connection.h"

namespace lctl::client {

namespace {

constexpr int kDefaultListLimit = 1'000;  // as JobFilter::limit says

}  // namespace

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_STOPPED;
}

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

absl::StatusOr<Client> Client::connect(const std::string& address, ClientOptions options) {
  LCTL_RETURN_IF_ERROR(check_address(address));
  return Client(std::make_unique<Connection>(address, options));
}

const std::string& Client::address() const { return connection_->address; }

absl::StatusOr<v1::Job> Client::submit(const v1::JobSpec& spec, const std::string& submitted_by,
                                       std::string idempotency_key,
                                       std::optional<v1::SourceCode> source) {
  v1::SubmitRequest request;
  *request.mutable_spec() = spec;
  request.set_submitted_by(submitted_by);
  request.set_idempotency_key(idempotency_key.empty() ? random_id(26) : std::move(idempotency_key));
  if (source) *request.mutable_source() = *std::move(source);
  v1::SubmitResponse response;
  LCTL_RETURN_IF_ERROR(
      connection_->call(*connection_->jobs, &v1::Jobs::Stub::Submit, request, &response));
  return std::move(*response.mutable_job());
}

absl::StatusOr<v1::JobDetails> Client::get(const std::string& job) {
  v1::GetJobRequest request;
  request.set_job(job);
  v1::JobDetails response;
  LCTL_RETURN_IF_ERROR(
      connection_->call(*connection_->jobs, &v1::Jobs::Stub::Get, request, &response));
  return response;
}

absl::StatusOr<v1::SourceCode> Client::source(const std::string& job) {
  v1::GetJobRequest request;
  request.set_job(job);
  v1::SourceCode response;
  LCTL_RETURN_IF_ERROR(
      connection_->call(*connection_->jobs, &v1::Jobs::Stub::GetSource, request, &response));
  return response;
}

absl::StatusOr<std::vector<v1::Job>> Client::list(const JobFilter& filter) {
  LCTL_ASSIGN_OR_RETURN(JobListing listing, list_with_values(filter));
  return std::move(listing.jobs);
}

absl::StatusOr<JobListing> Client::list_with_values(const JobFilter& filter) {
  v1::ListJobsRequest request;
  request.set_experiment(filter.experiment);
  request.mutable_states()->Assign(filter.states.begin(), filter.states.end());
  request.set_limit(filter.limit);
  request.set_where(filter.where);
  request.mutable_order_by()->Assign(filter.order_by.begin(), filter.order_by.end());
  request.set_search(filter.search);
  request.mutable_show()->Assign(filter.show.begin(), filter.show.end());
  JobListing listing;
  // A full page names the next one. The first without jobs ends it too: else a broken server could
  // keep this going for ever.
  for (;;) {
    v1::ListJobsResponse page;
    LCTL_RETURN_IF_ERROR(
        connection_->call(*connection_->jobs, &v1::Jobs::Stub::List, request, &page));
    listing.shown.assign(page.shown().begin(), page.shown().end());
    for (int i = 0; i < page.jobs_size(); ++i) {
      listing.jobs.push_back(std::move(*page.mutable_jobs(i)));
      const bool sent = i < page.values_size();  // not by an older server
      listing.values.push_back(sent ? std::move(*page.mutable_values(i)) : v1::JobValues());
    }
    if (page.next_before().empty() || page.jobs().empty()) return listing;
    const int left = (filter.limit > 0 ? filter.limit : kDefaultListLimit) -
                     static_cast<int>(listing.jobs.size());
    if (left <= 0) return listing;
    request.set_limit(left);
    request.set_before(page.next_before());
  }
}

absl::StatusOr<v1::Job> Client::stop(const std::string& job, std::chrono::milliseconds grace,
                                     const std::string& reason) {
  v1::StopJobRequest request;
  request.set_job(job);
  request.set_grace_ms(grace.count() < 0 ? -1 : grace.count());
  request.set_reason(reason);
  v1::Job response;
  LCTL_RETURN_IF_ERROR(
      connection_->call(*connection_->jobs, &v1::Jobs::Stub::Stop, request, &response));
  return response;
}

absl::StatusOr<v1::Job> Client::resume(const std::string& job) {
  v1::ResumeJobRequest request;
  request.set_job(job);
  v1::Job response;
  // Not repeated: the first try may have been applied, and the second would then be refused
  // because the job runs.
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->jobs, &v1::Jobs::Stub::Resume, request,
                                         &response, /*repeat=*/false));
  return response;
}

absl::StatusOr<v1::Job> Client::write_stacks(const std::string& job) {
  v1::WriteStacksRequest request;
  request.set_job(job);
  v1::Job response;
  LCTL_RETURN_IF_ERROR(
      connection_->call(*connection_->jobs, &v1::Jobs::Stub::WriteStacks, request, &response));
  return response;
}

absl::StatusOr<v1::DrillResponse> Client::drill(const DrillQuery& query) {
  v1::DrillRequest request;
  request.set_job(query.job);
  request.set_fault(query.fault);
  request.set_rank(query.rank);
  request.set_duration_ms(query.duration.count());
  request.set_force(query.force);
  v1::DrillResponse response;
  // Not repeated: one fault was asked for.
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->jobs, &v1::Jobs::Stub::Drill, request,
                                         &response, /*repeat=*/false));
  return response;
}

absl::StatusOr<v1::Job> Client::label(const std::string& job, const LabelChange& change) {
  v1::SetLabelsRequest request;
  request.set_job(job);
  request.mutable_tags()->insert(change.tags.begin(), change.tags.end());
  request.mutable_removed_tags()->Assign(change.removed_tags.begin(), change.removed_tags.end());
  if (change.note) request.set_note(*change.note);
  v1::Job response;
  // A tag that the first try has removed is not there for a second one.
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->jobs, &v1::Jobs::Stub::SetLabels, request,
                                         &response, /*repeat=*/change.removed_tags.empty()));
  return response;
}

absl::StatusOr<std::vector<v1::Node>> Client::nodes() {
  v1::ListNodesResponse response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->cluster, &v1::Cluster::Stub::ListNodes,
                                         v1::ListNodesRequest(), &response));
  return std::vector<v1::Node>(response.nodes().begin(), response.nodes().end());
}

absl::StatusOr<v1::Node> Client::drain(const std::string& node, const std::string& reason,
                                       std::chrono::milliseconds grace) {
  v1::DrainNodeRequest request;
  request.set_node(node);
  request.set_reason(reason);
  request.set_grace_ms(grace.count());
  v1::Node response;
  LCTL_RETURN_IF_ERROR(
      connection_->call(*connection_->cluster, &v1::Cluster::Stub::DrainNode, request, &response));
  return response;
}

absl::StatusOr<v1::Node> Client::undrain(const std::string& node) {
  v1::UndrainNodeRequest request;
  request.set_node(node);
  v1::Node response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->cluster, &v1::Cluster::Stub::UndrainNode,
                                         request, &response));
  return response;
}

absl::StatusOr<v1::Node> Client::wait_drained(const std::string& node_id, std::stop_token stop) {
  Backoff pause(*connection_->channel, connection_->options.backoff_first,
                connection_->options.backoff_limit);
  while (true) {
    LCTL_ASSIGN_OR_RETURN(const std::vector<v1::Node> all, nodes());
    const auto node = std::find_if(all.begin(), all.end(),
                                   [&](const v1::Node& each) { return each.id() == node_id; });
    if (node == all.end() || node->drained_us() == 0) {
      return absl::AbortedError("somebody has undrained the node meanwhile");
    }
    if (node->state() == v1::NODE_STATE_DRAINED || node->state() == v1::NODE_STATE_LOST) {
      return *node;
    }
    if (!pause.wait(stop)) return absl::CancelledError("interrupted; the node stays drained");
  }
}

absl::StatusOr<v1::ServerInfo> Client::server_info() {
  v1::ServerInfo response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->cluster, &v1::Cluster::Stub::GetServerInfo,
                                         v1::GetServerInfoRequest(), &response));
  return response;
}

absl::StatusOr<std::vector<v1::Experiment>> Client::experiments() {
  v1::ListExperimentsResponse response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->experiments, &v1::Experiments::Stub::List,
                                         v1::ListExperimentsRequest(), &response));
  return std::vector<v1::Experiment>(response.experiments().begin(), response.experiments().end());
}

absl::StatusOr<std::vector<v1::MetricSummary>> Client::metrics(const std::string& job) {
  v1::ListMetricsRequest request;
  request.set_job(job);
  v1::ListMetricsResponse response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->experiments,
                                         &v1::Experiments::Stub::ListMetrics, request, &response));
  return std::vector<v1::MetricSummary>(response.metrics().begin(), response.metrics().end());
}

absl::StatusOr<std::vector<v1::MetricPoint>> Client::metric(const std::string& job,
                                                            const std::string& key,
                                                            const MetricRange& range) {
  v1::GetMetricRequest request;
  request.set_job(job);
  request.set_key(key);
  request.set_from_step(range.from_step);
  request.set_to_step(range.to_step);
  request.set_max_points(range.max_points);
  request.set_include_superseded(range.include_superseded);
  v1::GetMetricResponse response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->experiments,
                                         &v1::Experiments::Stub::GetMetric, request, &response));
  return std::vector<v1::MetricPoint>(response.points().begin(), response.points().end());
}

absl::StatusOr<std::vector<v1::Checkpoint>> Client::checkpoints(const std::string& job) {
  LCTL_ASSIGN_OR_RETURN(const v1::JobDetails details, get(job));
  v1::ListCheckpointsRequest request;
  request.set_job_id(details.job().id());
  v1::ListCheckpointsResponse response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->checkpoints, &v1::Checkpoints::Stub::List,
                                         request, &response));
  std::vector<v1::Checkpoint> checkpoints(response.checkpoints().begin(),
                                          response.checkpoints().end());
  std::set<std::string> seen;  // monitored metrics whose best one is found
  for (auto checkpoint = checkpoints.rbegin(); checkpoint != checkpoints.rend(); ++checkpoint) {
    v1::CheckpointWritten& written = *checkpoint->mutable_written();
    if (written.is_best()) written.set_is_best(seen.insert(written.monitor()).second);
  }
  return checkpoints;
}

}  // namespace lctl::client
