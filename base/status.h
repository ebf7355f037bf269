// absl::Status is the error type of daemons, store and client. Codes map one to one to gRPC's. The
// final text says what happened, where, why, and what to do; each layer adds its context once.
#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lctl {

// The text of a status as a std::string_view (Debian's absl has a string_view of its own). Valid as
// long as `status` is.
inline std::string_view message_of(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// `status` with "<context>: " before its message; OK stays OK. Payloads are kept.
absl::Status with_context(const absl::Status& status, std::string_view context);

// A status for a failed system call: "<what>: <strerror(error_number)>", with the code that fits:
// ENOENT NotFound, EACCES/EPERM PermissionDenied, EEXIST AlreadyExists, ENOSPC/EDQUOT/EMFILE/ENOMEM
// ResourceExhausted, EINVAL/ENAMETOOLONG InvalidArgument, all else Unavailable or Internal.
absl::Status errno_status(int error_number, std::string_view what);

}  // namespace lctl

#define LCTL_STATUS_CONCAT_(a, b) a##b
#define LCTL_STATUS_CONCAT(a, b) LCTL_STATUS_CONCAT_(a, b)

// Returns from the enclosing function when `expression` (a Status) is not OK.
#define LCTL_RETURN_IF_ERROR(expression)                                                \
  do {                                                                                  \
    if (absl::Status lctl_status = (expression); !lctl_status.ok()) return lctl_status; \
  } while (false)

// LCTL_ASSIGN_OR_RETURN(auto x, compute()): binds the value, or returns the error.
#define LCTL_ASSIGN_OR_RETURN(declaration, expression) \
  LCTL_ASSIGN_OR_RETURN_(LCTL_STATUS_CONCAT(lctl_result_, __LINE__), declaration, expression)
#define LCTL_ASSIGN_OR_RETURN_(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).status();          \
  declaration = *std::move(result)
