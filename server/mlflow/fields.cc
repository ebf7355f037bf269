#include "server/mlflow/fields.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

absl::Status missing(std::string_view name) {
  return absl::InvalidArgumentError(
      fmt::format("Missing value for required parameter '{}': give it in the request", name));
}

absl::Status wrong(std::string_view name, std::string_view expected) {
  return absl::InvalidArgumentError(
      fmt::format("Invalid value for parameter '{}': expected {}", name, expected));
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> integer_of(const json& value) {
  if (value.is_number_unsigned()) {
    const auto large = value.get<std::uint64_t>();
    if (large > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return std::nullopt;
    }
    return static_cast<std::int64_t>(large);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) {
    const auto real = value.get<double>();
    // 2^63 and beyond have no place.
    if (std::trunc(real) == real && std::abs(real) < 9.2e18) return static_cast<std::int64_t>(real);
    return std::nullopt;
  }
  if (value.is_string()) return number_of<std::int64_t>(value.get_ref<const std::string&>());
  return std::nullopt;
}

std::optional<double> real_of(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return kInfinity;
  if (text == "-Infinity") return -kInfinity;
  return number_of<double>(text);
}

bool is_json(const http::Request& request) {
  const auto found = request.headers.find("content-type");
  if (found == request.headers.end()) return false;
  const std::string_view type = std::string_view(found->second).substr(0, found->second.find(';'));
  return type == "application/json" || type == "application/json ";
}

json object_of_query(const http::Query& query) {
  json object = json::object();
  for (const auto& [name, value] : query) {
    json& field = object[name];
    if (field.is_null()) {
      field = value;
    } else if (field.is_array()) {
      field.push_back(value);
    } else {
      field = json::array({field, value});
    }
  }
  return object;
}

}  // namespace

absl::StatusOr<Fields> Fields::of(const http::Request& request) {
  json object;
  if (request.body.empty()) {
    // What changes something says so in its body, which no form of a web page can send.
    object = request.method == "GET" ? object_of_query(request.query) : json::object();
  } else {
    if (!is_json(request)) {
      return absl::InvalidArgumentError(
          "the request's body is not said to be JSON: send it with Content-Type: application/json");
    }
    object = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      return absl::InvalidArgumentError("the request's body is not a JSON object");
    }
  }
  for (const auto& [name, value] : request.parameters) object[name] = value;
  return Fields(std::move(object));
}

const json* Fields::find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool Fields::has(const char* name) const { return find(name) != nullptr; }

absl::StatusOr<std::optional<std::string>> Fields::optional_text(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  // Ids of experiments and numbers of versions come as either.
  if (value->is_number_integer()) return value->dump();
  return wrong(name, "a text");
}

absl::StatusOr<std::string> Fields::text_or_empty(const char* name) const {
  LCTL_ASSIGN_OR_RETURN(std::optional<std::string> text, optional_text(name));
  return std::move(text).value_or("");
}

absl::StatusOr<std::string> Fields::text(const char* name) const {
  LCTL_ASSIGN_OR_RETURN(std::string text, text_or_empty(name));
  if (text.empty()) return missing(name);
  return text;
}

absl::StatusOr<std::string> Fields::text(const char* name, const char* older_name) const {
  return has(name) ? text(name) : has(older_name) ? text(older_name) : missing(name);
}

absl::StatusOr<std::int64_t> Fields::integer(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return missing(name);
  if (const auto integer = integer_of(*value)) return *integer;
  return wrong(name, "a whole number of 64 bits");
}

absl::StatusOr<std::int64_t> Fields::integer_or(const char* name, std::int64_t otherwise) const {
  return has(name) ? integer(name) : otherwise;
}

absl::StatusOr<double> Fields::number(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return missing(name);
  if (const auto real = real_of(*value)) return *real;
  return wrong(name, "a number");
}

absl::StatusOr<bool> Fields::flag_or(const char* name, bool otherwise) const {
  const json* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  if (*value == "true" || *value == "True") return true;
  if (*value == "false" || *value == "False") return false;
  return wrong(name, "true or false");
}

absl::StatusOr<std::vector<std::string>> Fields::texts(const char* name, std::size_t max) const {
  const json* value = find(name);
  if (value == nullptr) return std::vector<std::string>();
  const json list = value->is_array() ? *value : json::array({*value});
  if (list.size() > max) return wrong(name, fmt::format("at most {} entries", max));
  std::vector<std::string> texts;
  for (const json& entry : list) {
    if (entry.is_string()) {
      texts.push_back(entry.get<std::string>());
    } else if (entry.is_number_integer()) {
      texts.push_back(entry.dump());
    } else {
      return wrong(name, "a list of texts");
    }
  }
  return texts;
}

absl::StatusOr<Fields> Fields::object(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return missing(name);
  if (!value->is_object()) return wrong(name, "an object");
  return Fields(*value);
}

absl::StatusOr<std::vector<Fields>> Fields::objects(const char* name, std::size_t max) const {
  const json* list = find(name);
  if (list == nullptr) return std::vector<Fields>();
  if (!list->is_array()) return wrong(name, "a list of objects");
  if (list->size() > max) {
    return absl::InvalidArgumentError(
        fmt::format("A batch logging request can contain at most {} {}. Got {} {}. Please split up "
                    "{} across multiple requests and try again.",
                    max, name, list->size(), name, name));
  }
  std::vector<Fields> objects;
  objects.reserve(list->size());
  for (const json& entry : *list) {
    if (!entry.is_object()) return wrong(name, "a list of objects");
    objects.emplace_back(entry);
  }
  return objects;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Fields::pairs(
    const char* name, std::size_t max) const {
  LCTL_ASSIGN_OR_RETURN(const std::vector<Fields> list, objects(name, max));
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Fields& entry : list) {
    LCTL_ASSIGN_OR_RETURN(std::string key, entry.text("key"));
    LCTL_ASSIGN_OR_RETURN(std::string value, entry.text_or_empty("value"));
    pairs.emplace_back(std::move(key), std::move(value));
  }
  return pairs;
}

}  // namespace lctl::mlflow
