// A coordinator in memory, for tests of the node daemon: it speaks the real gRPC contracts on a
// port of its own, applies what it gets exactly as the contracts say, and fails on demand.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/ingest.pb.h"
#include "proto/lctl/v1/session.pb.h"

namespace lctl::agent {

// What a coordinator would have in its store and its memory. Copied out whole.
struct Received {
  struct Rank {
    std::vector<v1::RankReport> reports;     // in the order of arrival
    std::map<int, std::uint64_t> committed;  // by v1::StreamKind: the acknowledged offset
    std::vector<v1::Event> events;           // each once
    std::vector<v1::Event> measured;         // by the node
    std::string out;
    std::string err;

    v1::RankState state() const {
      return reports.empty() ? v1::RANK_STATE_UNSPECIFIED : reports.back().state();
    }
  };
  struct Stored {
    v1::CommitCheckpointRequest commit;
    std::string content;
  };
  using RankName = std::tuple<std::string, int, int>;  // job, attempt, rank

  std::vector<v1::Register> registrations;
  int heartbeats = 0;
  std::vector<v1::DeviceFaults> device_faults;
  std::map<RankName, Rank> ranks;
  std::vector<v1::RendezvousReady> rendezvous;
  std::vector<v1::LaunchFailed> failed_launches;
  std::vector<v1::RankStalled> stalls;  // in the order of arrival
  std::vector<Stored> checkpoints;
  int batches = 0;           // that arrived, repeated ones too
  int repeated_batches = 0;  // that brought nothing new
  int chunks = 0;            // that were sent
};

// Thread rule: internally locked.
class FakeCoordinator {
 public:
  FakeCoordinator();
  ~FakeCoordinator();

  std::string address() const;  // "127.0.0.1:PORT", the same after a restart

  // Ends all calls and stops listening; what was received stays.
  void shut_down();
  void start_again();

  // To the registered node; false when there is none.
  bool send(const v1::ServerMessage& message);

  Received received() const;
  // Waits until `condition` holds of what has been received; false after 60 s. It is called under
  // the lock: no calls back.
  bool wait(const std::function<bool(const Received&)>& condition) const;

  // ---- faults
  void drop_session();                                   // ends the node's session stream
  void drop_ingest();                                    // ends the ingest streams
  void refuse_registrations(const std::string& reason);  // "" = accept
  void grant_lease(std::chrono::milliseconds length);    // with registrations from now on
  void ignore_heartbeats(bool ignore);                   // the session lives, and says nothing
  void withhold_acks(bool withhold);                     // batches are stored but not acknowledged
  // The answer to the next `times` batches, which are not stored.
  void answer_batches(v1::IngestAck::Result result, int times);
  // Commits, or chunk uploads, fail with this gRPC code the next `times`.
  void fail_commits(int code, int times);
  void fail_chunks(int code, int times);
  // A stored checkpoint that nodes can download; each download breaks after `break_after` bytes (0
  // = not).
  void put_checkpoint(const std::string& id, const std::string& content,
                      std::int64_t break_after = 0);
  // The announced hash is another one: of so many downloads, then it is right again.
  void corrupt_downloads(int times = 1'000'000);
  void stall_downloads();              // they send a first piece and then nothing
  bool wait_stalled_download() const;  // until one does; false after 60 s
  // What the store has of a stream, as if an older backup had been restored.
  void forget_text_beyond(const Received::RankName& rank, v1::StreamKind kind,
                          std::uint64_t offset);

 private:
  struct Services;
  std::unique_ptr<Services> services_;
};

}  // namespace lctl::agent
