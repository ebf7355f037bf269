// Reading and writing `.ckpt` files: torch.save's ZIP of a pickle and raw tensor storages
// (docs/formats/checkpoint.md). What is written here loads in Python with
// torch.load(weights_only=True); what Lightning writes loads here.
#pragma once

#include <filesystem>
#include <stdexcept>

#include "worker/trainer/checkpoint/pickle_writer.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// The bytes of a file are no checkpoint: torn, or of another format.
class NotACheckpoint : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Writes to a temporary file beside `file`, syncs it, and renames it into place, so `file` is whole
// or untouched. Tensors are written from CPU memory; a storage that several tensors share is
// written once. Throws std::system_error (with the path) when the disk refuses. Any thread; `value`
// must not change meanwhile.
void write_file(const std::filesystem::path& file, const Value& value);
void write_file(const std::filesystem::path& file, const Pickled& pickled);

// Reads the whole file; tensors are on the CPU. Executes nothing: only the pickle subset of data is
// understood, every length is checked against the file's size, nesting is bounded.
// Throws NotACheckpoint "<file>: not a checkpoint: <why> (at byte <n> of <entry>)" for anything
// else, and std::system_error when the file cannot be opened.
Value read_file(const std::filesystem::path& file);

}  // namespace lctl::checkpoint
