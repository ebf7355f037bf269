// The words of MLflow's search grammar. Part of filter_parsing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lctl::storage {

struct FilterToken {
  enum class Kind {
    kWord,      // plain characters: a key, a number, a keyword
    kText,      // in ' or "
    kBacktick,  // in `
    kSign,      // = != < <= > >= ( ) ,
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string text;        // without its quotes
  char quote = 0;          // of kText
  std::size_t column = 1;  // of its first byte, from 1
  bool touches = false;    // nothing stands between it and the token before
};

// "column 7: <what>".
absl::Status filter_error(std::size_t column, std::string_view what);

// The last one is kEnd. InvalidArgument for an open quote or a control character.
absl::StatusOr<std::vector<FilterToken>> filter_tokens(std::string_view text);

// "`<=`", "the end": the token in a message, cut when it is long.
std::string shown(const FilterToken& token);

// The word in any case.
bool is_keyword(const FilterToken& token, std::string_view upper);

// ASCII letters made large.
std::string upper_case(std::string_view text);

}  // namespace lctl::storage
