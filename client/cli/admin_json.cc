#include "client/cli/admin_json.h"

namespace lctl::cli {
namespace {

template <typename Texts>
Json texts_json(const Texts& texts) {
  Json all = Json::array();
  for (const auto& text : texts) all.push_back(text);
  return all;
}

}  // namespace

Json backup_json(const v1::BackupResult& result) {
  return {
      {"folder", result.folder()},
      {"database_bytes", result.database_bytes()},
      {"jobs", result.jobs()},
      {"checkpoints", result.checkpoints()},
      {"chunks", result.chunks()},
      {"chunk_bytes", result.chunk_bytes()},
      {"linked_chunks", result.linked_chunks()},
      {"copied_chunks", result.copied_chunks()},
      {"copied_bytes", result.copied_bytes()},
      {"removed", texts_json(result.removed())},
      {"missing_chunks", result.missing_chunks()},
      {"missing", texts_json(result.missing())},
  };
}

Json check_json(const v1::CheckResult& result) {
  return {
      {"ok", result.findings().empty()},
      {"findings", texts_json(result.findings())},
      {"more_findings", result.more_findings()},
      {"jobs", result.jobs()},
      {"point_blocks", result.point_blocks()},
      {"checkpoints", result.checkpoints()},
      {"chunks", result.chunks()},
      {"chunk_bytes", result.chunk_bytes()},
      {"unused_chunks", result.unused_chunks()},
      {"unused_bytes", result.unused_bytes()},
      {"damaged_files", result.damaged_files()},
  };
}

Json vacuum_json(const v1::VacuumResponse& result) {
  return {{"bytes_before", result.bytes_before()}, {"bytes_after", result.bytes_after()}};
}

Json deletion_json(const v1::DeleteJobResponse& result) {
  return {{"id", result.job_id()},
          {"name", result.job_name()},
          {"checkpoint_bytes", result.checkpoint_bytes()}};
}

Json removal_json(const v1::Removal& removal) {
  return {{"job", removal.job_id()},
          {"name", removal.job_name()},
          {"what", removal.what()},
          {"bytes", removal.bytes()},
          {"reason", removal.reason()}};
}

Json garbage_json(const v1::CollectGarbageResponse& result, bool dry_run) {
  Json removals = Json::array();
  for (const v1::Removal& removal : result.removals()) removals.push_back(removal_json(removal));
  return {{"dry_run", dry_run},
          {"dropped_chunks", result.dropped_chunks()},
          {"dropped_bytes", result.dropped_bytes()},
          {"unused_chunks", result.unused_chunks()},
          {"unused_bytes", result.unused_bytes()},
          {"removals", removals}};
}

}  // namespace lctl::cli
