#include "http/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace lctl::http {
namespace {

bool is_parameter(const std::string& segment) { return segment.starts_with('{'); }
bool is_rest(const std::string& segment) { return segment.ends_with("...}"); }

// The name in "{name}" and "{name...}".
std::string name_of(const std::string& segment) {
  return segment.substr(1, segment.size() - (is_rest(segment) ? 5 : 2));
}

}  // namespace

std::uint64_t Router::Match::max_body_bytes() const { return entry_->route.max_body_bytes; }

bool Router::Match::takes_upload() const { return entry_->route.upload != nullptr; }

void Router::add(Route route) {
  const auto target = parse_target(route.pattern);
  LCTL_CHECK(target.ok() && target->query.empty(), "a route's pattern is a path");
  LCTL_CHECK((route.handler != nullptr) != (route.upload != nullptr), "a route has a handler");
  Entry& entry = entries_.emplace_back();
  entry.segments = target->segments;
  for (std::size_t i = 0; i < entry.segments.size(); ++i) {
    const std::string& segment = entry.segments[i];
    if (!is_parameter(segment)) continue;
    LCTL_CHECK(segment.ends_with('}') && !name_of(segment).empty(), "a parameter is {name}");
    LCTL_CHECK(!is_rest(segment) || i + 1 == entry.segments.size(), "{name...} stands last");
  }
  entry.route = std::move(route);
}

bool Router::fits(const Entry& entry, const Target& target,
                  std::map<std::string, std::string>& parameters) {
  parameters.clear();
  const bool open = !entry.segments.empty() && is_rest(entry.segments.back());
  if (open ? target.segments.size() < entry.segments.size()
           : target.segments.size() != entry.segments.size()) {
    return false;
  }
  for (std::size_t i = 0; i < entry.segments.size(); ++i) {
    const std::string& wanted = entry.segments[i];
    if (!is_parameter(wanted)) {
      if (wanted != target.segments[i]) return false;
      continue;
    }
    std::string value = target.segments[i];
    if (is_rest(wanted)) {
      for (std::size_t j = i + 1; j < target.segments.size(); ++j)
        value += "/" + target.segments[j];
    }
    if (value.empty()) return false;
    parameters.emplace(name_of(wanted), std::move(value));
  }
  return true;
}

std::variant<Router::Match, Response> Router::find(const RequestHead& head) const {
  const auto refused = [&](Response response) {
    count(refused_, response.status);
    return response;
  };
  auto target = parse_target(head.target);
  if (!target.ok()) return refused(error_response(target.status()));
  const std::string method = head.method == "HEAD" ? "GET" : head.method;
  std::set<std::string> allowed;
  std::map<std::string, std::string> parameters;
  for (const Entry& entry : entries_) {
    if (!fits(entry, *target, parameters)) continue;
    if (entry.route.method == method) {
      return Match(entry, Request{.method = method,
                                  .path = target->path(),
                                  .query = std::move(target->query),
                                  .parameters = std::move(parameters)});
    }
    allowed.insert(entry.route.method);
    if (entry.route.method == "GET") allowed.insert("HEAD");
  }
  if (allowed.empty()) {
    return refused(error_response(404, "ENDPOINT_NOT_FOUND",
                                  fmt::format("there is nothing at {} here", target->path())));
  }
  std::string list;
  for (const std::string& each : allowed) list += (list.empty() ? "" : ", ") + each;
  Response response = error_response(
      405, "METHOD_NOT_ALLOWED", fmt::format("{} can be asked with {} only", target->path(), list));
  response.headers.emplace_back("Allow", list);
  return refused(std::move(response));
}

Response Router::respond(Match match, std::map<std::string, std::string> headers,
                         std::string body) const {
  match.request_.headers = std::move(headers);
  match.request_.body = std::move(body);
  Response response;
  try {
    response = match.entry_->route.handler(match.request_);
  } catch (const std::exception& error) {
    response = failed(match, error);
  }
  count(match.entry_->answered, response.status);
  return response;
}

Response Router::failed(const Match& match, const std::exception& error) {
  logger("http").error("{} {} failed: {}", match.request_.method, match.entry_->route.pattern,
                       error.what());
  return error_response(500, "INTERNAL", "the server could not answer; its log says why");
}

std::variant<std::unique_ptr<Upload>, Response> Router::begin(
    Match& match, std::map<std::string, std::string> headers) const {
  match.request_.headers = std::move(headers);
  std::variant<std::unique_ptr<Upload>, Response> begun;
  try {
    begun = match.entry_->route.upload(match.request_);
  } catch (const std::exception& error) {
    begun = failed(match, error);
  }
  if (const auto* refusal = std::get_if<Response>(&begun)) {
    count(match.entry_->answered, refusal->status);
  }
  return begun;
}

std::optional<Response> Router::take(const Match& match, Upload& upload,
                                     std::string_view piece) const {
  std::optional<Response> refusal;
  try {
    refusal = upload.take(piece);
  } catch (const std::exception& error) {
    refusal = failed(match, error);
  }
  if (refusal) count(match.entry_->answered, refusal->status);
  return refusal;
}

Response Router::finish(const Match& match, Upload& upload) const {
  Response response;
  try {
    response = upload.finish();
  } catch (const std::exception& error) {
    response = failed(match, error);
  }
  count(match.entry_->answered, response.status);
  return response;
}

Response Router::respond(const RequestHead& head, std::string body,
                         std::map<std::string, std::string> headers) const {
  auto found = find(head);
  if (auto* refusal = std::get_if<Response>(&found)) return std::move(*refusal);
  Match match = std::get<Match>(std::move(found));
  if (!match.takes_upload()) return respond(std::move(match), std::move(headers), std::move(body));
  auto begun = begin(match, std::move(headers));
  if (auto* refusal = std::get_if<Response>(&begun)) return std::move(*refusal);
  Upload& upload = *std::get<std::unique_ptr<Upload>>(begun);
  if (!body.empty()) {
    if (auto refusal = take(match, upload, body)) return *std::move(refusal);
  }
  return finish(match, upload);
}

void Router::count(Classes& classes, int status) {
  const auto first_digit = static_cast<std::size_t>(std::clamp(status / 100, 1, 5));
  classes[first_digit - 1].fetch_add(1, std::memory_order_relaxed);
}

std::vector<RouteCount> Router::counts() const {
  std::vector<RouteCount> all;
  const auto copy = [&](const std::string& method, const std::string& pattern,
                        const Classes& classes) {
    RouteCount& one = all.emplace_back(RouteCount{.method = method, .pattern = pattern});
    for (std::size_t i = 0; i < classes.size(); ++i) {
      one.by_class[i] = classes[i].load(std::memory_order_relaxed);
    }
  };
  for (const Entry& entry : entries_) {
    copy(entry.route.method, entry.route.pattern, entry.answered);
  }
  copy("", "", refused_);
  return all;
}

}  // namespace lctl::http
