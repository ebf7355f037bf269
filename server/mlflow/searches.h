// What all searches of MLflow's protocol have in common: filter, order, pages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "server/mlflow/fields.h"
#include "storage/jobs/job_store.h"
#include "storage/search/filter.h"

namespace lctl::mlflow {

inline constexpr std::int64_t kMaxPage = 1'000;  // entries in one answer; the rest follows by token

struct Search {
  storage::Filter where;
  std::vector<storage::Order> order;
};

// `filter` and `order_by`. `own_attributes` as parse_filter()'s: none = runs.
absl::StatusOr<Search> search_in(const Fields& request,
                                 std::span<const std::string_view> own_attributes = {});

// ACTIVE_ONLY (also when left out), DELETED_ONLY or ALL.
absl::StatusOr<storage::Lifecycle> lifecycle_in(const Fields& request, const char* name);

// `max_results`, at most kMaxPage; InvalidArgument below 1.
absl::StatusOr<std::int64_t> page_size_in(const Fields& request);

// Where the page begins in a list: what page_of() gave as next_page_token; 0 without one.
absl::StatusOr<std::int64_t> page_begin_in(const Fields& request);

// {list_name: [entries of the page], "next_page_token": if there are more}.
template <typename Entity, typename ToJson>
absl::StatusOr<nlohmann::json> page_of(const std::vector<Entity>& all, const Fields& request,
                                       const char* list_name, const ToJson& to_json) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t size, page_size_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t wanted, page_begin_in(request));
  const auto count = static_cast<std::int64_t>(all.size());
  const std::int64_t begin = std::min(wanted, count);
  const std::int64_t end = std::min(begin + size, count);
  nlohmann::json list = nlohmann::json::array();
  for (std::int64_t i = begin; i < end; ++i) {
    list.push_back(to_json(all[static_cast<std::size_t>(i)]));
  }
  nlohmann::json page = {{list_name, std::move(list)}};
  if (end < count) page["next_page_token"] = std::to_string(end);
  return page;
}

}  // namespace lctl::mlflow
