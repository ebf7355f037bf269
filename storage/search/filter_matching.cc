#include "storage/search/filter_matching.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace lctl::storage {
namespace {

char folded(char c, bool any_case) {
  return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Where the character behind the one at `at` begins.
std::size_t next_character(std::string_view text, std::size_t at) {
  ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

bool holds_number(Operator op, double found, double wanted) {
  switch (op) {
    case Operator::kEqual:
      return found == wanted;
    case Operator::kNotEqual:
      return found != wanted;
    case Operator::kLess:
      return found < wanted;
    case Operator::kLessOrEqual:
      return found <= wanted;
    case Operator::kGreater:
      return found > wanted;
    case Operator::kGreaterOrEqual:
      return found >= wanted;
    default:
      return false;
  }
}

bool holds_text(Operator op, std::string_view found, std::string_view wanted) {
  switch (op) {
    case Operator::kEqual:
      return found == wanted;
    case Operator::kNotEqual:
      return found != wanted;
    case Operator::kLike:
      return is_like(found, wanted, /*any_case=*/false);
    case Operator::kILike:
      return is_like(found, wanted, /*any_case=*/true);
    default:
      return false;
  }
}

// Its place in the order before the values themselves are looked at.
int rank_of(const FoundValue& value) {
  if (value.number) return std::isnan(*value.number) ? 2 : 0;
  return value.text ? 1 : 3;
}

}  // namespace

bool is_like(std::string_view text, std::string_view pattern, bool any_case) {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  // Where to go on when what follows the last % does not fit: one character further.
  std::size_t retry_text = 0;
  std::size_t retry_pattern = std::string_view::npos;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '%') {
      retry_pattern = ++in_pattern;
      retry_text = at;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == '_') {
      ++in_pattern;
      at = next_character(text, at);
    } else if (in_pattern < pattern.size() &&
               folded(pattern[in_pattern], any_case) == folded(text[at], any_case)) {
      ++in_pattern;
      ++at;
    } else if (retry_pattern != std::string_view::npos) {
      in_pattern = retry_pattern;
      retry_text = next_character(text, retry_text);
      at = retry_text;
    } else {
      return false;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '%') ++in_pattern;
  return in_pattern == pattern.size();
}

bool holds(const Comparison& comparison, const FoundValue& found) {
  if (comparison.op == Operator::kIsNull) return found.empty();
  if (comparison.op == Operator::kIsNotNull) return !found.empty();
  if (const auto* number = std::get_if<double>(&comparison.value)) {
    return found.number && holds_number(comparison.op, *found.number, *number);
  }
  if (!found.text) return false;
  if (const auto* texts = std::get_if<Texts>(&comparison.value)) {
    const bool among = std::find(texts->begin(), texts->end(), *found.text) != texts->end();
    return among == (comparison.op == Operator::kIn);
  }
  const auto* text = std::get_if<std::string>(&comparison.value);
  return text != nullptr && holds_text(comparison.op, *found.text, *text);
}

std::weak_ordering compare(const FoundValue& a, const FoundValue& b, bool descending) {
  const int rank_a = rank_of(a);
  const int rank_b = rank_of(b);
  if (rank_a != rank_b) return rank_a <=> rank_b;
  std::weak_ordering order = std::weak_ordering::equivalent;
  if (rank_a == 0) {
    if (*a.number < *b.number) order = std::weak_ordering::less;
    if (*a.number > *b.number) order = std::weak_ordering::greater;
  } else if (rank_a == 1) {
    const int by_text = a.text->compare(*b.text);
    order = by_text <=> 0;
  }
  return descending ? 0 <=> order : order;
}

}  // namespace lctl::storage
