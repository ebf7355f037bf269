// Checkpoints that cannot be used: found out, noted durably, and taken back when their bytes are
// sound again.
//
// A chunk that does not match its hash is put aside (ChunkFolder), so that it counts as absent and
// the next upload of the same bytes stores it anew. All checkpoints that name it are marked.
#pragma once

#include <string>
#include <string_view>

#include "base/id.h"
#include "base/status.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// Reads every chunk of the checkpoint, marks it or takes its mark away, and returns what is wrong
// with it; "" = nothing. A mark of mark_unreadable() stays. NotFound when it is not kept. Reads all
// of its bytes in the caller's thread.
absl::StatusOr<std::string> verify_checkpoint(Database& database, ChunkFolder& chunks,
                                              const CheckpointId& id);

// A chunk was found missing or damaged: puts it aside and marks who names it, unless a second look
// finds it sound. What is wrong with it; "" = nothing.
absl::StatusOr<std::string> mark_if_damaged(Database& database, ChunkFolder& chunks,
                                            std::string_view sha256, std::int64_t size);

// The trainer cannot read the file, although it is what was uploaded. The first mark stands.
absl::Status mark_unreadable(Database& database, const CheckpointId& id, std::string_view why);

}  // namespace lctl::storage
