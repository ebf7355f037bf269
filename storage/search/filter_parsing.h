// MLflow's search grammar (the filter_string and order_by of search_runs), and what is shorter.
//
//   metrics.`val/loss` < 0.1 AND params.optimizer = 'adam' AND tags.team IN ('a', 'b')
//   val/loss < 0.1 and hparams.lr > 1e-3 and name LIKE 'digits%' and state = 'SUCCEEDED'
//
//   filter     = comparison { AND comparison }                       AND in any case; "" = all jobs
//   comparison = key ( = | != | < | <= | > | >= ) value
//              | key ( LIKE | ILIKE ) text | key [ NOT ] IN ( text, … ) | key IS [ NOT ] NULL
//   key        = attribute | kind "." name | name
//   kind       = metric(s) | param(s), parameter(s), hparam(s) | tag(s) | attr, attribute(s), run
//   name       = plain characters, or anything in `backticks` or "double quotes"
//   text       = 'single' or "double quotes"; the quote itself is doubled
//
// A name alone is an attribute where there is one of that name, else a metric. Beyond MLflow: names
// alone, hparams, parameters compared with numbers, IN for all texts, IS NULL, our names of states.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/status.h"
#include "storage/search/filter.h"

namespace lctl::storage {

inline constexpr std::size_t kMaxFilterBytes = 16 << 10;
inline constexpr std::size_t kMaxComparisons = 64;
inline constexpr std::size_t kMaxInValues = 1'000;
inline constexpr std::size_t kMaxSearchKeyBytes = 512;
inline constexpr std::size_t kMaxPatternBytes = 512;  // of LIKE: its cost grows with its length

// InvalidArgument: "column 7: expected …". Columns count bytes from 1. Attributes come with a value
// of their type; states are checked, and with =, != and IN turned into lists of our names
// (MLflow's FINISHED is SUCCEEDED, KILLED is STOPPED, SCHEDULED is QUEUED or STARTING).
//
// A search for what is no job names its own attributes: these, also behind "attribute.", become
// keys of kOwn, and a name alone that is none of them is refused.
absl::StatusOr<Filter> parse_filter(std::string_view text,
                                    std::span<const std::string_view> own_attributes = {});

// "key", "key ASC", "key DESC", "-key" (descending).
absl::StatusOr<Order> parse_order(std::string_view text,
                                  std::span<const std::string_view> own_attributes = {});

}  // namespace lctl::storage
