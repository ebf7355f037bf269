// gRPC's Admin: maintenance of the store, deletion of jobs. Translates and delegates; decides
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "proto/lctl/v1/admin.grpc.pb.h"
#include "server/garbage_collection.h"
#include "server/retention/rules.h"
#include "server/services/open_calls.h"
#include "storage/store.h"

namespace lctl::services {

// Thread rule: internally locked.
class AdminService final : public v1::Admin::Service {
 public:
  // What the server frees by itself in time.
  struct Tidied {
    std::vector<retention::Removal> removals;
    server::GarbageCollection::Collected collected;
  };
  // Called from any thread.
  struct Doors {
    std::function<absl::StatusOr<Tidied>(bool dry_run)> tidy_up;
    std::function<absl::StatusOr<std::int64_t>(const JobId&)> remove_job;  // JobsEngine::remove()
  };

  // `store` must outlive it, and so must what the doors use.
  AdminService(storage::Store& store, Doors doors) : store_(store), doors_(std::move(doors)) {}

  // Ends backups and checks that are under way.
  void shutdown() { calls_.shutdown(); }

  grpc::Status Backup(grpc::ServerContext* context, const v1::BackupRequest* request,
                      grpc::ServerWriter<v1::BackupUpdate>* writer) override;
  grpc::Status Check(grpc::ServerContext* context, const v1::CheckRequest* request,
                     grpc::ServerWriter<v1::CheckUpdate>* writer) override;
  grpc::Status Vacuum(grpc::ServerContext* context, const v1::VacuumRequest* request,
                      v1::VacuumResponse* response) override;
  grpc::Status CollectGarbage(grpc::ServerContext* context,
                              const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* response) override;
  grpc::Status DeleteJob(grpc::ServerContext* context, const v1::DeleteJobRequest* request,
                         v1::DeleteJobResponse* response) override;
  grpc::Status GetHyperparameters(grpc::ServerContext* context,
                                  const v1::GetHyperparametersRequest* request,
                                  v1::GetHyperparametersResponse* response) override;

 private:
  storage::Store& store_;
  const Doors doors_;
  OpenCalls calls_;
};

}  // namespace lctl::services
