// Answers of MLflow's protocol, and who may ask.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "base/status.h"
#include "http/message.h"

namespace lctl::mlflow {

http::Response answer(const nlohmann::json& body);

// {"error_code", "message"} with MLflow's codes: InvalidArgument is INVALID_PARAMETER_VALUE,
// NotFound RESOURCE_DOES_NOT_EXIST, AlreadyExists RESOURCE_ALREADY_EXISTS (400, 404, 400),
// FailedPrecondition INVALID_STATE (409), Unimplemented NOT_IMPLEMENTED (501). What may go well
// when it is tried again (Unavailable, Aborted: 503, ResourceExhausted: 429) MLflow's clients try
// again by themselves.
http::Response refusal(const absl::Status& status);

// 403 for a request that a page of another host has made a browser send: it names that host as its
// Origin. Programs send none.
std::optional<http::Response> refuse_other_origin(const http::Request& request);

}  // namespace lctl::mlflow
