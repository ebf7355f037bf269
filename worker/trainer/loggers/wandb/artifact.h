// A checkpoint as an artifact of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "worker/trainer/loggers/wandb/records.pb.h"

namespace lctl::wandb {

// A file that lies where an upload finds it.
struct StagedFile {
  std::filesystem::path path;  // absolute
  std::int64_t size = 0;
  std::string md5;  // raw bytes
};

// Looks at the file where it is, or at a copy of it (a hard link where one can be made) that its
// removal does not touch. Reads all of it. Errors are exceptions that name the file.
StagedFile file_in_place(const std::filesystem::path& file);
StagedFile copied_file(const std::filesystem::path& file, const std::filesystem::path& copy);

// An artifact of one file, which is `name_in_artifact` there: manifest and digests as
// wandb.Artifact.add_file makes them. Run, type, name, metadata and aliases are the caller's.
records::Artifact artifact_of(const StagedFile& file, const std::string& name_in_artifact);

}  // namespace lctl::wandb
