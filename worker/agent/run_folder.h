// The folder of one attempt on this node, and the small files in it (docs/formats/launch.md).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"

namespace lctl::agent {

// Who a rank is, as its keeper wrote it. Start times are clock ticks since boot: with them a
// recycled pid is told from the real one.
struct RankProcess {
  pid_t keeper = 0;
  unsigned long long keeper_start = 0;
  pid_t rank = 0;
  unsigned long long rank_start = 0;
};

// How a rank ended.
struct RankExit {
  bool signaled = false;
  int number = 0;             // exit code or signal
  std::int64_t lease_ms = 0;  // of the lease that had run out; 0 = it had not

  int exit_code() const { return signaled ? 128 + number : number; }
};

// How much of each of a rank's streams the server has acknowledged.
struct RankOffsets {
  std::uint64_t events = 0;
  std::uint64_t out = 0;
  std::uint64_t err = 0;
  std::uint64_t node = 0;
};

std::optional<RankProcess> parse_process(const std::string& text);
std::optional<RankExit> parse_exit(const std::string& text);
std::optional<RankOffsets> parse_offsets(const std::string& text);
// By policy; lines that are torn or no match are left out.
std::map<int, std::string> parse_log_matches(const std::string& text);

// Paths and files; no state of its own beyond the paths. Thread rule: immutable.
class RunFolder {
 public:
  RunFolder(const std::filesystem::path& data_dir, const AttemptId& attempt);

  // Makes the folders of these ranks and writes job.yaml, launch.pb and the boot id. Errors name
  // the path.
  absl::Status create(const v1::Launch& launch, const std::string& boot_id) const;

  // Reads back what create() wrote. NotFound: there is no complete folder.
  absl::StatusOr<v1::Launch> load(std::string* boot_id) const;

  void remove() const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path work() const { return path_ / "work"; }
  std::filesystem::path config() const { return path_ / "job.yaml"; }
  std::filesystem::path resume_checkpoint() const { return path_ / "resume.ckpt"; }
  std::filesystem::path rank(int rank) const { return path_ / ("rank-" + std::to_string(rank)); }
  std::filesystem::path spool(int r) const { return rank(r) / "events.log"; }
  std::filesystem::path node_log(int r) const { return rank(r) / "node.log"; }
  std::filesystem::path pulse(int r) const { return rank(r) / "pulse"; }
  std::filesystem::path stage(int r) const { return rank(r) / "stage"; }

  std::optional<RankProcess> process(int rank) const;

  // Makes sure that a rank which has not been started will not be: a keeper on its way finds its
  // place taken and gives up. Returns the process if it was faster. For the daemon after its
  // restart.
  std::optional<RankProcess> give_up(int rank) const;

  // The port of the rendezvous that this node opened for the attempt; 0 = none.
  int rendezvous_port() const;
  absl::Status save_rendezvous_port(int port) const;

  std::optional<RankExit> exit(int rank) const;
  RankOffsets offsets(int rank) const;  // zeros when the file is absent or torn
  absl::Status save_offsets(int rank, const RankOffsets& offsets) const;

  // What log policies of the job have found in the rank's output, by policy.
  std::map<int, std::string> log_matches(int rank) const;
  absl::Status save_log_matches(int rank, const std::map<int, std::string>& matches) const;

  // Adds a line of the daemon's own to the rank's stderr, and so to the job's log.
  absl::Status add_note(int rank, const std::string& text) const;

  // Attempts that have a folder here.
  static std::vector<AttemptId> list(const std::filesystem::path& data_dir);

 private:
  std::filesystem::path path_;
};

// Writes a small file by rename, so that it is whole or absent. Not synced: it is for restarts of
// the daemon, not of the machine.
absl::Status write_small_file(const std::filesystem::path& file, const std::string& content);

// Start time of a live process in clock ticks since boot; 0 when there is none.
unsigned long long process_start_time(pid_t pid);

// /proc/sys/kernel/random/boot_id.
std::string kernel_boot_id();

}  // namespace lctl::agent
