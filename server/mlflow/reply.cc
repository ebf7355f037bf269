#include "server/mlflow/reply.h"

#include <fmt/format.h>

#include <string_view>

namespace lctl::mlflow {
namespace {

struct Code {
  int status = 500;
  std::string_view name = "INTERNAL_ERROR";
};

Code code_of(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return {400, "INVALID_PARAMETER_VALUE"};
    case absl::StatusCode::kNotFound:
      return {404, "RESOURCE_DOES_NOT_EXIST"};
    case absl::StatusCode::kAlreadyExists:
      return {400, "RESOURCE_ALREADY_EXISTS"};
    case absl::StatusCode::kFailedPrecondition:
      return {409, "INVALID_STATE"};
    case absl::StatusCode::kPermissionDenied:
      return {403, "PERMISSION_DENIED"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "RESOURCE_LIMIT_EXCEEDED"};
    case absl::StatusCode::kUnimplemented:
      return {501, "NOT_IMPLEMENTED"};
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
      return {503, "TEMPORARILY_UNAVAILABLE"};
    case absl::StatusCode::kDataLoss:
      return {500, "DATA_LOSS"};
    default:
      return {};
  }
}

}  // namespace

http::Response answer(const nlohmann::json& body) {
  return {.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

http::Response refusal(const absl::Status& status) {
  const Code code = code_of(status.code());
  return http::error_response(code.status, code.name, message_of(status));
}

std::optional<http::Response> refuse_other_origin(const http::Request& request) {
  const auto origin = request.headers.find("origin");
  if (origin == request.headers.end()) return std::nullopt;
  const auto host = request.headers.find("host");
  const std::string_view text = origin->second;
  const std::size_t scheme = text.find("://");
  if (scheme != std::string_view::npos && host != request.headers.end() &&
      text.substr(scheme + 3) == host->second) {
    return std::nullopt;
  }
  return refusal(absl::PermissionDeniedError(
      fmt::format("a page of '{}' may not use this server: only programs and its own pages may",
                  text.substr(0, 200))));
}

}  // namespace lctl::mlflow
