// From what a person looks for to SQLite's FTS5 language, of which nothing shows.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lctl::storage {

inline constexpr std::size_t kMaxSearchTextBytes = 1'024;
inline constexpr std::size_t kMaxSearchWords = 32;

// An FTS5 expression for rows in which each word of the text begins a word; "digits-mlp" is two
// words one behind the other. Words without a letter or digit are passed over. InvalidArgument when
// the text is too long or no word is left.
absl::StatusOr<std::string> full_text_query(std::string_view text);

}  // namespace lctl::storage
