// Keys of MLflow's search grammar: "metrics.acc", "hparams.`a b`", "val/loss", "start_time". Part
// of filter_parsing.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/search/filter.h"
#include "storage/search/filter_tokens.h"

namespace lctl::storage {

struct ParsedKey {
  SearchKey key;
  // As it was written, without quotes: for messages, and to tell MLflow's `status` from `state`.
  std::string written;
  std::size_t column = 1;
  bool bare = false;  // a metric that is one because no attribute has this name
};

// Takes the key's tokens off the front. The last token is kEnd. `own` is filter_parsing.h's
// own_attributes.
absl::StatusOr<ParsedKey> parse_key(std::span<const FilterToken>& tokens,
                                    std::span<const std::string_view> own);

// "id, name, …", for messages.
std::string attribute_names();

}  // namespace lctl::storage
