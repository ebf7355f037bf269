// What a request of MLflow's protocol says, field by field.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "http/message.h"

namespace lctl::mlflow {

// The fields of a JSON object in a body, of a query, and of the route's path, which come to the
// same. As protobuf's JSON has it, a number may be a text ("7", "NaN"), null is as good as left
// out, and a list of one value may be that value. Errors everywhere: InvalidArgument, naming the
// field and what was expected. Thread rule: immutable.
class Fields {
 public:
  // InvalidArgument for a body that is no JSON object, or has both a body and another content type
  // than application/json.
  static absl::StatusOr<Fields> of(const http::Request& request);

  explicit Fields(nlohmann::json object) : object_(std::move(object)) {}

  bool has(const char* name) const;

  // A text that must be there, not empty.
  absl::StatusOr<std::string> text(const char* name) const;
  // The first of two names for one thing.
  absl::StatusOr<std::string> text(const char* name, const char* older_name) const;
  // "" when left out.
  absl::StatusOr<std::string> text_or_empty(const char* name) const;
  absl::StatusOr<std::optional<std::string>> optional_text(const char* name) const;

  absl::StatusOr<std::int64_t> integer(const char* name) const;
  absl::StatusOr<std::int64_t> integer_or(const char* name, std::int64_t otherwise) const;
  // Also "NaN", "Infinity" and "-Infinity".
  absl::StatusOr<double> number(const char* name) const;
  absl::StatusOr<bool> flag_or(const char* name, bool otherwise) const;

  // Empty when left out; InvalidArgument for more than `max`.
  absl::StatusOr<std::vector<std::string>> texts(const char* name, std::size_t max) const;
  absl::StatusOr<Fields> object(const char* name) const;
  absl::StatusOr<std::vector<Fields>> objects(const char* name, std::size_t max) const;

  // A list of {"key", "value"}, as tags and params are written.
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> pairs(const char* name,
                                                                         std::size_t max) const;

 private:
  const nlohmann::json* find(const char* name) const;

  nlohmann::json object_;
};

}  // namespace lctl::mlflow
