// A disk that is full when a test says so, for every file that the process writes: SQLite's too.
// Who links this gets it; no mount and no privilege is needed.
#pragma once

namespace lctl::storage {

// From now on writes to regular files fail with ENOSPC, or (false) go through again. Any thread.
void fill_disk(bool full);

}  // namespace lctl::storage
