// gRPC's Admin: maintenance of the store. Translates and delegates; decides nothing.
#pragma once

#include <functional>

#include "proto/lctl/v1/admin.grpc.pb.h"
#include "server/garbage_collection.h"
#include "server/services/open_calls.h"
#include "storage/maintenance/maintenance.h"

namespace lctl::services {

// Thread rule: internally locked.
class AdminService final : public v1::Admin::Service {
 public:
  using Collector =
      std::function<absl::StatusOr<server::GarbageCollection::Collected>(bool dry_run)>;

  // `maintenance` must outlive it, and so must what `collect_garbage` uses; it is called from any
  // thread.
  AdminService(storage::Maintenance& maintenance, Collector collect_garbage)
      : maintenance_(maintenance), collect_garbage_(std::move(collect_garbage)) {}

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

 private:
  storage::Maintenance& maintenance_;
  const Collector collect_garbage_;
  OpenCalls calls_;
};

}  // namespace lctl::services
