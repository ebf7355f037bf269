// Makes fsync(2) and fdatasync(2) of a test's process free, SQLite's too: a store syncs every
// commit, so on a disk that others keep busy a test of thousands of commits would take minutes. Who
// links this gets it. A process that is killed loses nothing by it, only a machine would.
#pragma once

#include <cstdint>

namespace lctl::storage {

// How often this process has asked for a sync. Any thread.
std::int64_t syncs_asked();

}  // namespace lctl::storage
