// The C++ client of a coordinator: what `lctl` is made of, and what other programs link. Start
// here.
//
//   auto client = client::Client::connect("127.0.0.1:7070");
//   auto config = jobspec::parse_file("digits.yaml");
//   auto job = client->submit(config->job);
//   auto end = client->watch(job->id(), {.changed = [](const v1::Job& now) { … }});
//
// A `job` argument names a job by its id, a unique prefix of it, its name (the newest of that name)
// or "@last". Errors are the server's own text with gRPC's code (NotFound, InvalidArgument,
// FailedPrecondition, …). A server that cannot be reached gives Unavailable with a text that says
// what to do about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "proto/lctl/v1/admin.pb.h"
#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/control.pb.h"
#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::client {

// Where a client looks for its server unless told otherwise.
inline constexpr char kDefaultAddress[] = "127.0.0.1:7070";

struct ClientOptions {
  // Deadline of one call that is not a stream.
  Duration call_timeout = std::chrono::seconds(10);
  // How long idempotent calls are tried again when the server does not answer: before this client
  // has ever reached it, and after (a restart of the server takes a few seconds).
  Duration first_patience = std::chrono::milliseconds(250);
  Duration patience = std::chrono::seconds(10);
  // Wait between two tries of a broken stream: doubles from the first to the second.
  Duration backoff_first = std::chrono::milliseconds(100);
  Duration backoff_limit = std::chrono::seconds(2);
  // A followed stream is opened anew after this time, so that a host that vanished is noticed.
  Duration stream_renewal = std::chrono::seconds(60);
};

struct JobFilter {
  std::string experiment;             // "" = all
  std::vector<v1::JobState> states;   // none = all
  int limit = 0;                      // 0 = the server's default, 1,000
  std::string where;                  // MLflow's search grammar (docs/searching.md); "" = all
  std::vector<std::string> order_by;  // "metrics.acc DESC", "-val/acc"; none = newest first
  std::string search;                 // words of names, experiments, tags and notes; "" = all
  std::vector<std::string> show;      // keys as in order_by whose values are wanted; at most 16
};

struct JobListing {
  std::vector<v1::Job> jobs;
  std::vector<std::string> shown;     // the filter's keys as the server writes them
  std::vector<v1::JobValues> values;  // of each job under them, in their order
};

// Applied whole or not at all.
struct LabelChange {
  std::map<std::string, std::string> tags;  // set or replaced
  std::vector<std::string> removed_tags;    // NotFound when the job does not have one
  std::optional<std::string> note;          // "" = none
};

// Calls of a watch, made on the thread that called watch(); empty ones are not made.
struct WatchObserver {
  // The job now, and at each change.
  std::function<void(const v1::Job&)> changed;
  // The stream broke (why), and will be tried again until it is back or the watch is stopped.
  std::function<void(std::string_view)> lost;
  std::function<void()> reconnected;
};

struct MetricRange {
  std::int64_t from_step = 0;
  std::int64_t to_step = 0;         // exclusive; 0 = no end
  int max_points = 0;               // 0 = all; else at least 4
  bool include_superseded = false;  // points of earlier attempts that a resume rewound past
};

struct LogQuery {
  std::string job;
  int attempt = 0;              // 0 = all
  int rank = -1;                // -1 = all
  bool follow = false;          // until the job is final
  std::int64_t tail_bytes = 0;  // per stream; 0 = from the beginning
};

// One fault for a running job.
struct DrillQuery {
  std::string job;
  v1::FaultKind fault = v1::FAULT_KIND_UNSPECIFIED;
  int rank = 0;
  std::chrono::milliseconds duration{};  // of a hang or partition; zero = the fault's own
  bool force = false;                    // also where it may cost work
};

// What a log stream delivers, in order within a stream and each byte once. False ends the call.
using LogSink = std::function<bool(const v1::LogChunk&)>;

// Bytes so far, bytes in all.
using DownloadProgress = std::function<void(std::int64_t, std::int64_t)>;

// How far the server has come with a long piece of work.
using WorkSink = std::function<void(const v1::WorkProgress&)>;

// Every call blocks until its answer. Idempotent ones (all but resume and removing tags; a submit
// carries a key that makes it so) are repeated while the server restarts. A watch and followed logs
// survive a restart of the server however long it takes: only their stop token ends the waiting.
// A stopped call returns Cancelled. Thread rule: internally locked; any thread may call.
class Client {
 public:
  // `address` is HOST:PORT. Nothing is sent yet: InvalidArgument when it cannot be an address.
  static absl::StatusOr<Client> connect(const std::string& address, ClientOptions options = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  const std::string& address() const;

  // Queues the job. `idempotency_key` ("" = a new random one) makes a repeated submission the same
  // one. `submitted_by` is user@host, `source` the code that it comes from.
  absl::StatusOr<v1::Job> submit(const v1::JobSpec& spec, const std::string& submitted_by = {},
                                 std::string idempotency_key = {},
                                 std::optional<v1::SourceCode> source = std::nullopt);
  absl::StatusOr<v1::JobDetails> get(const std::string& job);
  // The code that it was submitted from, with the changes. NotFound when none is known.
  absl::StatusOr<v1::SourceCode> source(const std::string& job);
  // Newest first or in the filter's order. Their specs come without config_yaml
  // and tags: get() has them.
  absl::StatusOr<std::vector<v1::Job>> list(const JobFilter& filter = {});
  // The same with what they have under the keys `filter.show`.
  absl::StatusOr<JobListing> list_with_values(const JobFilter& filter);
  // `grace` zero = the job's own, negative = kill at once.
  absl::StatusOr<v1::Job> stop(const std::string& job, std::chrono::milliseconds grace = {},
                               const std::string& reason = {});
  absl::StatusOr<v1::Job> resume(const std::string& job);
  // Its ranks write their stacks into its log, soon.
  absl::StatusOr<v1::Job> write_stacks(const std::string& job);
  // Returns when the fault is on its way. Never repeated.
  absl::StatusOr<v1::DrillResponse> drill(const DrillQuery& query);
  // Of a job in any state; returns it as it is then.
  absl::StatusOr<v1::Job> label(const std::string& job, const LabelChange& change);
  // Returns the job in its final state.
  absl::StatusOr<v1::Job> watch(const std::string& job, const WatchObserver& observer,
                                std::stop_token stop = {});

  absl::StatusOr<std::vector<v1::Node>> nodes();
  // The node (a name or an id) takes no new ranks; its gangs write a checkpoint within `grace`
  // (zero = the jobs' own, 300 s at least) and go on elsewhere. Returns at once.
  absl::StatusOr<v1::Node> drain(const std::string& node, const std::string& reason = {},
                                 std::chrono::milliseconds grace = {});
  absl::StatusOr<v1::Node> undrain(const std::string& node);
  // Returns the node when no rank is left on it, or it is lost. Aborted when somebody undrains it.
  absl::StatusOr<v1::Node> wait_drained(const std::string& node_id, std::stop_token stop = {});
  absl::StatusOr<v1::ServerInfo> server_info();

  absl::StatusOr<std::vector<v1::Experiment>> experiments();
  // Keys of a job, sorted, with their newest values.
  absl::StatusOr<std::vector<v1::MetricSummary>> metrics(const std::string& job);
  // In step order.
  absl::StatusOr<std::vector<v1::MetricPoint>> metric(const std::string& job,
                                                      const std::string& key,
                                                      const MetricRange& range = {});
  absl::Status logs(const LogQuery& query, const LogSink& sink, std::stop_token stop = {});

  // Oldest first. `written.is_best` stays only on the newest of those that were best when they were
  // written, for each monitored metric: that one is the best now.
  absl::StatusOr<std::vector<v1::Checkpoint>> checkpoints(const std::string& job);
  // Writes the checkpoint's file to `path` whole and verified (SHA-256), or not at all: bytes go to
  // "<path>.part" first, and an interrupted download goes on from there when repeated.
  absl::Status download(const std::string& checkpoint_id, const std::string& path,
                        const DownloadProgress& progress = {}, std::stop_token stop = {});

  // What the module and the data module saved (YAML); "" = nothing.
  absl::StatusOr<std::string> hyperparameters(const std::string& job);
  // With all that belongs to it. FailedPrecondition while it has not ended.
  absl::StatusOr<v1::DeleteJobResponse> delete_job(const std::string& job);

  // --- maintenance of the server's store; none has a deadline, and none is repeated ---

  // Into a folder of the server's host (an absolute path). `keep` newest ones stay; 0 = all.
  absl::StatusOr<v1::BackupResult> back_up(const std::string& dir, int keep = 0,
                                           const WorkSink& progress = {},
                                           std::stop_token stop = {});
  // What is wrong is in the result, not in the status.
  absl::StatusOr<v1::CheckResult> check_store(bool deep, const WorkSink& progress = {},
                                              std::stop_token stop = {});
  // Both go on in the server when they are stopped here.
  absl::StatusOr<v1::VacuumResponse> vacuum(std::stop_token stop = {});
  absl::StatusOr<v1::CollectGarbageResponse> collect_garbage(bool dry_run,
                                                             std::stop_token stop = {});

 private:
  struct Connection;
  explicit Client(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

// True for the states that a job leaves only by `resume`.
bool is_final(v1::JobState state);

}  // namespace lctl::client
