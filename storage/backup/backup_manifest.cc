#include "storage/backup/backup_manifest.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "storage/blobs/sha256.h"

namespace lctl::storage {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFormat[] = "lctl-backup";
constexpr int kFormatVersion = 1;

absl::Status invalid(std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("manifest.json: {}", what));
}

// A count or a size: a whole number, not negative.
absl::Status read_count(const Json& object, const char* key, std::int64_t& into) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) {
    return invalid(fmt::format("`{}` must be a whole number", key));
  }
  const bool huge =
      found->is_number_unsigned() &&
      found->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (huge || found->get<std::int64_t>() < 0) {
    return invalid(fmt::format("`{}` is out of range", key));
  }
  into = found->get<std::int64_t>();
  return absl::OkStatus();
}

absl::Status read_text(const Json& object, const char* key, std::string& into) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return invalid(fmt::format("`{}` must be a text", key));
  }
  into = found->get<std::string>();
  return absl::OkStatus();
}

absl::Status check_format(const Json& object) {
  std::string format;
  LCTL_RETURN_IF_ERROR(read_text(object, "format", format));
  if (format != kFormat) return invalid("it is no backup of lctl");
  std::int64_t version = 0;
  LCTL_RETURN_IF_ERROR(read_count(object, "format_version", version));
  if (version > kFormatVersion) {
    return absl::FailedPreconditionError(
        fmt::format("the backup has format version {}, this program knows versions up to {}: it "
                    "was made by a newer lctl; restore it with that version",
                    version, kFormatVersion));
  }
  return absl::OkStatus();
}

}  // namespace

std::string to_json(const BackupManifest& manifest) {
  const Json json = {
      {"format", kFormat},
      {"format_version", kFormatVersion},
      {"program_version", manifest.program_version},
      {"time_us", manifest.time_us},
      {"schema", manifest.schema},
      {"database_bytes", manifest.database_bytes},
      {"database_sha256", manifest.database_sha256},
      {"jobs", manifest.jobs},
      {"checkpoints", manifest.checkpoints},
      {"chunks", manifest.chunks},
      {"chunk_bytes", manifest.chunk_bytes},
      {"missing_chunks", manifest.missing_chunks},
  };
  return json.dump(2) + "\n";
}

absl::StatusOr<BackupManifest> parse_backup_manifest(std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    return invalid(fmt::format("it has more than {} bytes", kMaxManifestBytes));
  }
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return invalid("it is no JSON object");
  LCTL_RETURN_IF_ERROR(check_format(object));
  BackupManifest manifest;
  std::int64_t schema = 0;
  LCTL_RETURN_IF_ERROR(read_text(object, "program_version", manifest.program_version));
  LCTL_RETURN_IF_ERROR(read_count(object, "time_us", manifest.time_us));
  LCTL_RETURN_IF_ERROR(read_count(object, "schema", schema));
  LCTL_RETURN_IF_ERROR(read_count(object, "database_bytes", manifest.database_bytes));
  LCTL_RETURN_IF_ERROR(read_text(object, "database_sha256", manifest.database_sha256));
  LCTL_RETURN_IF_ERROR(read_count(object, "jobs", manifest.jobs));
  LCTL_RETURN_IF_ERROR(read_count(object, "checkpoints", manifest.checkpoints));
  LCTL_RETURN_IF_ERROR(read_count(object, "chunks", manifest.chunks));
  LCTL_RETURN_IF_ERROR(read_count(object, "chunk_bytes", manifest.chunk_bytes));
  LCTL_RETURN_IF_ERROR(read_count(object, "missing_chunks", manifest.missing_chunks));
  if (schema < 1 || schema > std::numeric_limits<int>::max()) {
    return invalid("`schema` is out of range");
  }
  manifest.schema = static_cast<int>(schema);
  if (parse_sha256(manifest.database_sha256).empty()) {
    return invalid("`database_sha256` must be 64 lower-case hex digits");
  }
  return manifest;
}

}  // namespace lctl::storage
