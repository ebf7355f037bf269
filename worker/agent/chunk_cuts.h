// Where a checkpoint file is cut into chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/agent/zip_entries.h"

namespace lctl::agent {

inline constexpr std::uint64_t kMaxChunkBytes = 4 << 20;  // as the store takes them
// An entry this large is cut off from its neighbours; smaller ones share chunks until they have
// this size. A chunk is a file with two syncs in the store, so they are not made smaller.
inline constexpr std::uint64_t kOwnChunkBytes = 1 << 20;

// Sizes of the chunks of a file of `size` bytes, in order: each 1 byte .. kMaxChunkBytes.
//
// With its layout: a tensor that has not changed since another checkpoint of the model gives the
// same chunks, wherever it lies in the file. For that cuts come only where entries begin (and every
// kMaxChunkBytes from there), and the entries that change each time are on their own: the pickle,
// the entry behind it (padded to 64 bytes from wherever the pickle ends; what follows begins at a
// multiple of 64 in any file) and the directory. Without: every kMaxChunkBytes. Pure.
std::vector<std::uint64_t> chunk_sizes(std::uint64_t size, const std::optional<ZipLayout>& layout);

}  // namespace lctl::agent
