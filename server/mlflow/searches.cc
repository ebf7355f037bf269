#include "server/mlflow/searches.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "storage/search/filter_parsing.h"

namespace lctl::mlflow {
namespace {

constexpr std::size_t kMaxOrders = 16;

}  // namespace

absl::StatusOr<Search> search_in(const Fields& request,
                                 std::span<const std::string_view> own_attributes) {
  Search search;
  LCTL_ASSIGN_OR_RETURN(const std::string filter, request.text_or_empty("filter"));
  auto where = storage::parse_filter(filter, own_attributes);
  if (!where.ok()) return with_context(where.status(), "Invalid filter");
  search.where = *std::move(where);
  LCTL_ASSIGN_OR_RETURN(const auto orders, request.texts("order_by", kMaxOrders));
  for (const std::string& text : orders) {
    auto order = storage::parse_order(text, own_attributes);
    if (!order.ok()) return with_context(order.status(), "Invalid order_by");
    search.order.push_back(*std::move(order));
  }
  return search;
}

absl::StatusOr<storage::Lifecycle> lifecycle_in(const Fields& request, const char* name) {
  LCTL_ASSIGN_OR_RETURN(const std::string view, request.text_or_empty(name));
  if (view.empty() || view == "ACTIVE_ONLY") return storage::Lifecycle::kActive;
  if (view == "DELETED_ONLY") return storage::Lifecycle::kDeleted;
  if (view == "ALL") return storage::Lifecycle::kAll;
  return absl::InvalidArgumentError(fmt::format(
      "Invalid value for parameter '{}': expected ACTIVE_ONLY, DELETED_ONLY or ALL", name));
}

absl::StatusOr<std::int64_t> page_size_in(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t size, request.integer_or("max_results", kMaxPage));
  if (size >= 1) return std::min(size, kMaxPage);
  return absl::InvalidArgumentError(
      fmt::format("Invalid value for parameter 'max_results': {}; expected 1 or more", size));
}

absl::StatusOr<std::int64_t> page_begin_in(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string token, request.text_or_empty("page_token"));
  if (token.empty()) return 0;
  std::int64_t begin = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), begin);
  if (error == std::errc() && end == token.data() + token.size() && begin >= 0) return begin;
  return absl::InvalidArgumentError(
      "Invalid page token: give the next_page_token of the answer before");
}

}  // namespace lctl::mlflow
