// The parts of Maintenance::check().
#pragma once

#include "base/status.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/maintenance/maintenance.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// Looks at the whole store and enters what it finds. `deep` marks checkpoints whose chunks are
// damaged, and takes back marks of those whose chunks are sound again (checkpoint_damage.h).
absl::Status check_store(Database& database, ChunkFolder& chunks, bool deep, ProgressSink progress,
                         CheckReport& report);

// SQLite's own check of the file, and of references between rows. Errors of SQL are
// SQLite::Exception; the caller locks the connection.
void check_pages(Connection& connection, CheckReport& report);

}  // namespace lctl::storage
