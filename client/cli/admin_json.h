// What --json prints of `lctl admin`. The rules of json.h hold.
#pragma once

#include "client/cli/json.h"
#include "proto/lctl/v1/admin.pb.h"

namespace lctl::cli {

Json backup_json(const v1::BackupResult& result);
Json check_json(const v1::CheckResult& result);
Json vacuum_json(const v1::VacuumResponse& result);
Json deletion_json(const v1::DeleteJobResponse& result);
Json removal_json(const v1::Removal& removal);
Json garbage_json(const v1::CollectGarbageResponse& result, bool dry_run);

}  // namespace lctl::cli
