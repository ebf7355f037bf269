// From our statuses to gRPC's. The codes have the same numbers; the text goes to the user
// unchanged.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "base/status.h"

namespace lctl::services {

inline grpc::Status to_grpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), std::string(message_of(status))};
}

}  // namespace lctl::services

// Returns from a gRPC method when `expression` (an absl::Status) is not OK.
#define LCTL_GRPC_RETURN_IF_ERROR(expression)                         \
  do {                                                                \
    if (absl::Status lctl_status = (expression); !lctl_status.ok()) { \
      return ::lctl::services::to_grpc(lctl_status);                  \
    }                                                                 \
  } while (false)

// LCTL_GRPC_ASSIGN_OR_RETURN(auto x, compute()): binds the value, or returns the error.
#define LCTL_GRPC_ASSIGN_OR_RETURN(declaration, expression) \
  LCTL_GRPC_ASSIGN_OR_RETURN_(LCTL_STATUS_CONCAT(lctl_result_, __LINE__), declaration, expression)
#define LCTL_GRPC_ASSIGN_OR_RETURN_(result, declaration, expression)   \
  auto result = (expression);                                          \
  if (!result.ok()) return ::lctl::services::to_grpc(result.status()); \
  declaration = *std::move(result)
