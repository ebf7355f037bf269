// The node daemon: keeps the ranks of this node, tells the coordinator about them, and does what it
// says.
//
// Operation. One strand owns the table of attempts. Everything else (session, forwarder, uploader,
// launches, measuring) runs on threads of its own and posts into the strand. Ranks never wait for
// any of it. agent.cc has its life and what it tells, attempts.cc what happens to attempts,
// faults.cc drills.
//
// Restart. Ranks are children of keepers, not of the agent. A new agent finds their folders, checks
// pid and start time, and goes on where the old one was; the server drops what is sent twice.
#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"
#include "worker/agent/agent_view.h"
#include "worker/agent/cancellation.h"
#include "worker/agent/forwarder.h"
#include "worker/agent/hang_watch.h"
#include "worker/agent/launch_work.h"
#include "worker/agent/lease.h"
#include "worker/agent/measuring/gpu_watch.h"
#include "worker/agent/measuring/node_meter.h"
#include "worker/agent/session.h"
#include "worker/agent/upload.h"

namespace lctl::agent {

// In the data folder.
inline constexpr char kLeaseFile[] = "lease";

struct AgentOptions {
  std::string server;  // host:port
  std::filesystem::path data_dir;
  std::string name;     // of the node
  std::string address;  // where other nodes reach it
  std::filesystem::path trainer;
  std::filesystem::path keeper;
  std::vector<v1::Device> devices;
  int cpus = 1;
  std::int64_t memory_bytes = 0;
  Duration measure_every =
      std::chrono::seconds(10);           // what the node does while ranks run; 0 = never
  std::string gpu_library = kGpuLibrary;  // looks after the GPUs among `devices`
};

// Thread rule: all but view() from one thread.
class Agent {
 public:
  // Adopts what still runs, then connects. Errors: the data folder is in use or not writable.
  static absl::StatusOr<std::unique_ptr<Agent>> start(AgentOptions options);
  ~Agent();

  // Asks all ranks to write a checkpoint and end, kills those that have not after `grace`, and
  // gives what they wrote a few seconds to reach the store (the rest waits here for the next
  // start).
  void stop_ranks(Duration grace);

  // Waits for the strand. Any thread, until the destructor.
  AgentView view();

 private:
  struct Rank {
    v1::RankReport report;  // its state as told to the server
    RankProcess process;
    std::optional<Descriptor> keeper;  // to signal it; none = it has ended
    std::optional<boost::asio::posix::stream_descriptor>
        watch;               // readable when the watched process ends
    bool forwarded = false;  // all events and output acknowledged
    int uploads = 0;         // checkpoints on their way
    LogMatches log_matches;  // as told to the server
  };
  struct Attempt {
    Attempt(RunFolder run_folder, v1::Launch attempt_launch, boost::asio::io_context& io)
        : folder(std::move(run_folder)), launch(std::move(attempt_launch)), kill_timer(io) {}
    RunFolder folder;
    v1::Launch launch;
    std::map<int, Rank> ranks;
    int rendezvous_port = 0;
    std::shared_ptr<Cancellation> launching;  // set while launch_ranks() runs
    bool forgotten = false;                   // remove it as soon as no process is left
    std::optional<std::int64_t> stop_ms;      // a stop that came during the launch: its grace
    boost::asio::steady_timer kill_timer;
  };

  Agent(AgentOptions options, NodeId node_id, std::unique_ptr<Lease> lease);

  void adopt_all();
  void adopt(const AttemptId& id);
  void adopt_rank(const AttemptId& id, Attempt& attempt, Rank& rank, bool rebooted);
  void connect();
  bool wait_until_all(v1::RankState state, Duration patience);
  void check_waiting();

  void on_message(const v1::ServerMessage& message);
  void on_launch(const v1::Launch& launch);
  void start_launch(const AttemptId& id, Attempt& attempt);
  void on_port(const AttemptId& id, int port);
  void on_launched(const AttemptId& id, absl::StatusOr<Launched> launched);
  void on_stop(const AttemptId& id, std::int64_t grace_ms);
  void on_forget(const AttemptId& id);
  void on_keeper_ended(const AttemptId& id, int rank);
  void on_uploaded(const Upload& upload, const absl::Status& status);
  void on_checkpoint(const AttemptId& id, int rank, const v1::CheckpointWritten& written,
                     std::int64_t time_us);

  void on_log_match(const AttemptId& id, int rank, int policy, const std::string& line);
  void on_fault(const v1::InjectFault& fault);
  static void signal_rank(const RankProcess& process, int signal);
  void continue_after(const RankProcess& process, Duration duration);

  void begin_measuring(const AttemptId& id, const Attempt& attempt);
  void watch_end(const AttemptId& id, Rank& rank, const Descriptor& process);
  void conclude(const AttemptId& id, Rank& rank, const char* without_exit_file);
  void set_exited(const AttemptId& id, Rank& rank, int exit_code, std::string message);
  void settle(const AttemptId& id, int rank);  // EXITED → DRAINED when everything has arrived
  void signal_ranks(Attempt& attempt, int signal);
  void remove_if_over(const AttemptId& id);
  void report(const Rank& rank);
  void report_match(const Rank& rank, const LogMatches::value_type& match);
  void report_stall(const v1::RankStalled& stalled);
  void report_all();
  void report_rendezvous(const AttemptId& id, int port);
  void report_failed_launch(const v1::Launch& launch, const absl::Status& status);
  void report_faults();
  std::vector<v1::Device> devices() const;  // with their faults
  Attempt* find(const AttemptId& id);
  Rank* find(const AttemptId& id, int rank);
  v1::Register registration();  // blocks on the strand; for the session's thread
  v1::Heartbeat heartbeat() const;

  const AgentOptions options_;
  const NodeId node_id_;
  const std::string boot_id_;
  std::shared_ptr<grpc::Channel> channel_;
  // Cancelled while a drill cuts this node off from its server.
  const std::shared_ptr<Cancellation> partition_ = std::make_shared<Cancellation>();

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::thread_pool launches_{2};

  struct Waiting {
    v1::RankState state;
    std::shared_ptr<std::promise<void>> reached;
  };

  // The strand's.
  std::map<AttemptId, Attempt> attempts_;
  GpuFaults gpu_faults_;
  std::vector<Waiting> waiting_;  // for all ranks to be that far

  HangWatch hangs_;
  std::unique_ptr<Lease> lease_;
  NodeMeter meter_;
  std::unique_ptr<Uploader> uploader_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<GpuWatch> gpu_watch_;
  std::thread strand_thread_;
};

}  // namespace lctl::agent
