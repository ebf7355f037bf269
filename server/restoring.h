// lctl-server --restore: what it says while it restores a backup.
#pragma once

#include "storage/backup/restore.h"

namespace lctl::server {

// Restores, with progress on stderr where that is a terminal, and the outcome on stdout
// (docs/cli.md lists the keys of its JSON). False, and
// why on stderr, when nothing was restored.
bool restore(const storage::RestoreRequest& request, bool json);

}  // namespace lctl::server
