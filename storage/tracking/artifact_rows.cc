#include "storage/tracking/artifact_rows.h"

#include <fmt/format.h>

#include "storage/jobs/texts.h"

namespace lctl::storage {
namespace {

// What lies in a folder has a path above "folder/" and below "folder0" ('0' follows '/').
std::string first_in(std::string_view folder) { return fmt::format("{}/", folder); }
std::string behind(std::string_view folder) { return fmt::format("{}0", folder); }

bool is_folder(Connection& connection, std::string_view path) {
  Query query = connection.query("SELECT 1 FROM artifacts WHERE path > ?1 AND path < ?2 LIMIT 1");
  query.bind(first_in(path), behind(path));
  return query.step();
}

void remove_file(Connection& connection, std::int64_t number, std::int64_t now_us) {
  connection
      .query(
          "INSERT INTO dropped_chunks (sha256, dropped_us)"
          " SELECT DISTINCT sha256, ?2 FROM artifact_chunks WHERE artifact = ?1"
          " ON CONFLICT (sha256) DO UPDATE SET dropped_us = excluded.dropped_us")
      .bind(number, now_us)
      .run();
  connection.query("DELETE FROM artifacts WHERE number = ?1").bind(number).run();
}

// A part of the path that is a file.
absl::Status check_folders(Connection& connection, std::string_view path) {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    const std::string_view folder = path.substr(0, slash);
    if (find_artifact(connection, folder).ok()) {
      return absl::FailedPreconditionError(fmt::format(
          "'{}' cannot be stored: '{}' is a file and no folder", shown(path), shown(folder)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Artifact> find_artifact(Connection& connection, std::string_view path) {
  Query query = connection.query("SELECT number, size FROM artifacts WHERE path = ?1");
  query.bind(path);
  if (query.step()) {
    return Artifact{
        .number = query.integer(0), .path = std::string(path), .size = query.integer(1)};
  }
  return absl::NotFoundError(fmt::format("there is no artifact '{}'", shown(path)));
}

std::vector<ArtifactChunk> chunks_of_artifact(Connection& connection, std::int64_t number,
                                              std::int64_t offset, std::int64_t size) {
  Query query = connection.query(
      "SELECT sha256, file_offset, size FROM artifact_chunks WHERE artifact = ?1"
      " AND file_offset < ?3 AND file_offset >= (SELECT max(file_offset) FROM artifact_chunks"
      " WHERE artifact = ?1 AND file_offset <= ?2) ORDER BY file_offset");
  query.bind(number, offset, offset + size);
  std::vector<ArtifactChunk> chunks;
  while (query.step()) {
    chunks.push_back({.sha256 = std::string(query.blob(0)),
                      .file_offset = query.integer(1),
                      .size = query.integer(2)});
  }
  return chunks;
}

absl::StatusOr<std::vector<Artifact>> list_artifacts(Connection& connection,
                                                     std::string_view folder) {
  std::vector<Artifact> entries;
  const std::string end = behind(folder);
  std::string from = first_in(folder);
  const std::size_t own = from.size();
  while (true) {
    if (entries.size() == kMaxArtifactsListed) {
      return absl::ResourceExhaustedError(
          fmt::format("'{}' has more than {} entries; keep files in several folders", shown(folder),
                      kMaxArtifactsListed));
    }
    Query query = connection.query(
        "SELECT number, path, size FROM artifacts WHERE path >= ?1 AND path < ?2"
        " ORDER BY path LIMIT 1");
    query.bind(from, end);
    if (!query.step()) return entries;
    const std::string path(query.text(1));
    const std::size_t slash = path.find('/', own);
    if (slash == std::string::npos) {
      entries.push_back({.number = query.integer(0), .path = path, .size = query.integer(2)});
      from = path + '\x01';  // paths have no control characters
    } else {
      entries.push_back({.path = path.substr(0, slash), .folder = true});
      from = behind(entries.back().path);
    }
  }
}

absl::Status insert_artifact(Connection& connection, std::string_view path, std::int64_t size,
                             std::span<const ArtifactChunk> chunks, std::int64_t now_us) {
  if (is_folder(connection, path)) {
    return absl::FailedPreconditionError(fmt::format(
        "'{}' cannot be stored as a file: it is a folder with files in it", shown(path)));
  }
  LCTL_RETURN_IF_ERROR(check_folders(connection, path));
  if (const auto earlier = find_artifact(connection, path); earlier.ok()) {
    remove_file(connection, earlier->number, now_us);
  }
  std::int64_t number = 0;
  {
    Query query = connection.query(
        "INSERT INTO artifacts (path, size, time_us) VALUES (?1, ?2, ?3) RETURNING number");
    query.bind(path, size, now_us);
    query.step();
    number = query.integer(0);
    query.run();
  }
  for (const ArtifactChunk& chunk : chunks) {
    connection
        .query(
            "INSERT INTO artifact_chunks (artifact, file_offset, sha256, size)"
            " VALUES (?1, ?2, ?3, ?4)")
        .bind(number, chunk.file_offset, Blob{chunk.sha256}, chunk.size)
        .run();
  }
  return absl::OkStatus();
}

absl::Status remove_artifacts(Connection& connection, std::string_view path, std::int64_t now_us) {
  std::vector<std::int64_t> numbers;
  {
    Query query = connection.query(
        "SELECT number FROM artifacts WHERE path = ?1 OR (path > ?2 AND path < ?3)");
    query.bind(path, first_in(path), behind(path));
    while (query.step()) numbers.push_back(query.integer(0));
  }
  if (numbers.empty()) {
    return absl::NotFoundError(fmt::format("there is no artifact '{}'", shown(path)));
  }
  for (const std::int64_t number : numbers) remove_file(connection, number, now_us);
  return absl::OkStatus();
}

}  // namespace lctl::storage
