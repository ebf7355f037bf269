// The experiment store: one SQLite database and one folder of content-addressed chunks.
//
//   auto store = Store::open({.dir = "/var/lib/lctl", .clock = system_clock()});
//   (*store)->jobs().record(change);        // returns when it is durable
//
// Durability: every call that writes returns after its transaction is committed and synced, or with
// an error and no effect. Calls from many threads share transactions (group commit). Reads see
// everything that was acknowledged before they began.
// Errors: ResourceExhausted (disk full), Unavailable (database locked by another program, I/O
// error), DataLoss (corrupt), NotFound, AlreadyExists, FailedPrecondition (fenced),
// InvalidArgument. Thread rule: internally locked. The parts live as long as the Store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "storage/blobs/checkpoint_quotas.h"
#include "storage/blobs/disk_space.h"

namespace lctl::storage {

class JobStore;
class EventStore;
class MetricStore;
class CheckpointStore;
class TrackingStore;
class ArtifactStore;
class ModelStore;
class Maintenance;

// How the store is doing. Counts are of this process, since the store was opened.
struct StoreStatistics {
  std::int64_t database_bytes = 0;     // of lctl.db
  std::int64_t write_ahead_bytes = 0;  // of lctl.db-wal
  std::int64_t disk_bytes = 0;         // of the file system below dir
  std::int64_t disk_free_bytes = 0;    // of it, for this user; all four are 0 when not known
  std::uint64_t commits = 0;           // transactions that were committed and synced
  std::uint64_t changes = 0;           // changes in them: what callers waited for
  std::uint64_t failed_changes = 0;
  std::uint64_t chunk_bytes_written = 0;
  std::int64_t reserve_bytes = 0;    // of the disk, for the database
  std::uint64_t refused_chunks = 0;  // for the reserve's sake
};

class Store {
 public:
  struct Options {
    std::filesystem::path dir;  // made when absent; holds lctl.db (+ -wal, -shm), lctl.lock, blobs/
    const Clock& clock;         // must outlive the store
    std::int64_t max_database_bytes =
        0;                 // of lctl.db; beyond it writes get ResourceExhausted. 0 = no limit
    DiskSpace space = {};  // how much of the disk checkpoints may fill
    CheckpointQuotas checkpoint_quotas = {};
    int max_metric_keys = 0;  // of a job; points of further ones are left out. 0 = no limit
  };

  // Opens or creates, and migrates to the newest schema. Only one process may hold a folder:
  // a second one gets Unavailable with the holder's pid. FailedPrecondition: a newer lctl wrote it,
  // or a restore into it was cut off.
  static absl::StatusOr<std::unique_ptr<Store>> open(Options options);

  virtual ~Store() = default;

  virtual JobStore& jobs() = 0;
  virtual EventStore& events() = 0;
  virtual MetricStore& metrics() = 0;
  virtual CheckpointStore& checkpoints() = 0;
  virtual TrackingStore& tracking() = 0;
  virtual ArtifactStore& artifacts() = 0;
  virtual ModelStore& models() = 0;
  virtual Maintenance& maintenance() = 0;

  // maintenance().check() without its deep part: OK or DataLoss with the first finding.
  absl::Status check_integrity();

  // Cheap: looks at no row and waits for no writer.
  virtual StoreStatistics statistics() const = 0;
};

}  // namespace lctl::storage
