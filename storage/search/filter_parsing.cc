#include "storage/search/filter_parsing.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/search/filter_tokens.h"
#include "storage/search/key_parsing.h"
#include "storage/search/state_words.h"

namespace lctl::storage {
namespace {

using Tokens = std::span<const FilterToken>;
using TokenKind = FilterToken::Kind;

constexpr std::string_view kOperators =
    "=, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL or IS NOT NULL";

bool is_sign(const FilterToken& token, std::string_view sign) {
  return token.kind == TokenKind::kSign && token.text == sign;
}

FilterToken take(Tokens& tokens) {
  FilterToken token = tokens.front();
  if (token.kind != TokenKind::kEnd) tokens = tokens.subspan(1);
  return token;
}

bool is_ordering(Operator op) {
  return op == Operator::kLess || op == Operator::kLessOrEqual || op == Operator::kGreater ||
         op == Operator::kGreaterOrEqual;
}

bool is_pattern(Operator op) { return op == Operator::kLike || op == Operator::kILike; }

// Signs that compare with one value.
std::optional<Operator> operator_of_sign(std::string_view sign) {
  if (sign == "=") return Operator::kEqual;
  if (sign == "!=") return Operator::kNotEqual;
  if (sign == "<") return Operator::kLess;
  if (sign == "<=") return Operator::kLessOrEqual;
  if (sign == ">") return Operator::kGreater;
  if (sign == ">=") return Operator::kGreaterOrEqual;
  return std::nullopt;
}

absl::StatusOr<Operator> parse_operator(Tokens& tokens) {
  const FilterToken token = take(tokens);
  if (token.kind == TokenKind::kSign) {
    if (const auto op = operator_of_sign(token.text)) return *op;
  } else if (is_keyword(token, "LIKE")) {
    return Operator::kLike;
  } else if (is_keyword(token, "ILIKE")) {
    return Operator::kILike;
  } else if (is_keyword(token, "IN")) {
    return Operator::kIn;
  } else if (is_keyword(token, "NOT")) {
    if (const FilterToken in = take(tokens); !is_keyword(in, "IN")) {
      return filter_error(in.column, fmt::format("expected IN behind NOT, found {}", shown(in)));
    }
    return Operator::kNotIn;
  } else if (is_keyword(token, "IS")) {
    const bool negated = is_keyword(tokens.front(), "NOT");
    if (negated) take(tokens);
    if (const FilterToken null = take(tokens); !is_keyword(null, "NULL")) {
      return filter_error(null.column, fmt::format("expected NULL, found {}", shown(null)));
    }
    return negated ? Operator::kIsNotNull : Operator::kIsNull;
  }
  return filter_error(token.column,
                      fmt::format("expected one of {}, found {}", kOperators, shown(token)));
}

// "1e-3", "+5", ".5"; nothing else is a number. No infinities: no comparison needs them.
std::optional<double> number_of(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

absl::StatusOr<Texts> parse_list(Tokens& tokens) {
  if (const FilterToken open = take(tokens); !is_sign(open, "(")) {
    return filter_error(open.column, fmt::format("expected `(` and a list of texts such as "
                                                 "('a', 'b'), found {}",
                                                 shown(open)));
  }
  Texts texts;
  while (true) {
    const FilterToken text = take(tokens);
    if (text.kind != TokenKind::kText) {
      return filter_error(text.column,
                          fmt::format("expected a text in quotes, found {}", shown(text)));
    }
    if (texts.size() == kMaxInValues) {
      return filter_error(text.column, fmt::format("the list has more than {} texts; search for "
                                                   "fewer at a time",
                                                   kMaxInValues));
    }
    texts.push_back(text.text);
    const FilterToken next = take(tokens);
    if (is_sign(next, ")")) return texts;
    if (!is_sign(next, ",")) {
      return filter_error(next.column, fmt::format("expected `,` or `)`, found {}", shown(next)));
    }
  }
}

// What a key is, for messages.
std::string description(const ParsedKey& key) {
  switch (key.key.kind) {
    case SearchKey::Kind::kAttribute:
      return fmt::format("the attribute {}", key.written);
    case SearchKey::Kind::kMetric:
      return fmt::format("the metric {}", key.key.name);
    case SearchKey::Kind::kParameter:
      return fmt::format("the parameter {}", key.key.name);
    case SearchKey::Kind::kTag:
      return fmt::format("the tag {}", key.key.name);
    case SearchKey::Kind::kOwn:
      return fmt::format("the attribute {}", key.key.name);
  }
  return "";
}

// A name alone that is no attribute is a metric, which a text or LIKE shows to be a mistake.
std::string bare_hint(const ParsedKey& key) {
  return key.bare ? fmt::format(
                        "; it is taken for a metric since no attribute has this name: "
                        "attributes are {}",
                        attribute_names())
                  : "";
}

bool takes_numbers(const SearchKey& key) {
  return key.kind == SearchKey::Kind::kMetric || key.kind == SearchKey::Kind::kParameter ||
         key.kind == SearchKey::Kind::kOwn ||
         (key.kind == SearchKey::Kind::kAttribute && is_number(key.attribute));
}

bool takes_texts(const SearchKey& key) {
  return key.kind == SearchKey::Kind::kTag || key.kind == SearchKey::Kind::kParameter ||
         key.kind == SearchKey::Kind::kOwn ||
         (key.kind == SearchKey::Kind::kAttribute && !is_number(key.attribute));
}

absl::Status check_operator(const ParsedKey& key, Operator op, std::size_t column) {
  const bool of_texts = is_pattern(op) || op == Operator::kIn || op == Operator::kNotIn;
  if (of_texts && !takes_texts(key.key)) {
    return filter_error(column, fmt::format("{} is a number: expected =, !=, <, <=, > or >={}",
                                            description(key), bare_hint(key)));
  }
  if (is_ordering(op) && !takes_numbers(key.key)) {
    return filter_error(column, fmt::format("{} is a text: expected =, !=, LIKE, ILIKE, IN or "
                                            "NOT IN",
                                            description(key)));
  }
  return absl::OkStatus();
}

absl::Status parse_value(const ParsedKey& key, Tokens& tokens, Comparison& comparison) {
  if (comparison.op == Operator::kIn || comparison.op == Operator::kNotIn) {
    LCTL_ASSIGN_OR_RETURN(comparison.value, parse_list(tokens));
    return absl::OkStatus();
  }
  const FilterToken token = take(tokens);
  if (is_pattern(comparison.op) && token.text.size() > kMaxPatternBytes) {
    return filter_error(token.column, fmt::format("a pattern of {} bytes; at most {} are allowed",
                                                  token.text.size(), kMaxPatternBytes));
  }
  if (token.kind == TokenKind::kText) {
    if (takes_texts(key.key) && !is_ordering(comparison.op)) {
      comparison.value = token.text;
      return absl::OkStatus();
    }
    return filter_error(token.column,
                        fmt::format("{} is compared with a number here: expected one without "
                                    "quotes, found {}{}",
                                    description(key), shown(token), bare_hint(key)));
  }
  if (token.kind == TokenKind::kWord && takes_numbers(key.key) && !is_pattern(comparison.op)) {
    if (const auto number = number_of(token.text)) {
      comparison.value = *number;
      return absl::OkStatus();
    }
  }
  const bool only_number = !takes_texts(key.key) || is_ordering(comparison.op);
  return filter_error(token.column,
                      fmt::format("expected {} for {}, found {}",
                                  only_number ? "a number such as 0.1" : "a text in 'quotes'",
                                  description(key), shown(token)));
}

// Words for states become lists of our names.
absl::Status translate_states(const ParsedKey& key, std::size_t column, Comparison& comparison) {
  if (comparison.key.kind != SearchKey::Kind::kAttribute ||
      comparison.key.attribute != Attribute::kState) {
    return absl::OkStatus();
  }
  Texts words;
  if (comparison.op == Operator::kEqual || comparison.op == Operator::kNotEqual) {
    words = {std::get<std::string>(comparison.value)};
  } else if (comparison.op == Operator::kIn || comparison.op == Operator::kNotIn) {
    words = std::get<Texts>(comparison.value);
  } else {
    return absl::OkStatus();
  }
  Texts states;
  for (const std::string& word : words) {
    const Texts meant = states_of_word(word, key.written == "status");
    if (meant.empty()) {
      return filter_error(column, fmt::format("there is no state `{}`; expected {}, or MLflow's "
                                              "SCHEDULED, FINISHED or KILLED",
                                              word, state_names()));
    }
    states.insert(states.end(), meant.begin(), meant.end());
  }
  const bool negated = comparison.op == Operator::kNotEqual || comparison.op == Operator::kNotIn;
  comparison.op = negated ? Operator::kNotIn : Operator::kIn;
  comparison.value = std::move(states);
  return absl::OkStatus();
}

absl::StatusOr<Comparison> parse_comparison(Tokens& tokens, std::span<const std::string_view> own) {
  if (is_sign(tokens.front(), "(")) {
    return filter_error(tokens.front().column,
                        "parentheses are for lists of texts only: write comparisons joined by AND");
  }
  LCTL_ASSIGN_OR_RETURN(const ParsedKey key, parse_key(tokens, own));
  const std::size_t operator_column = tokens.front().column;
  LCTL_ASSIGN_OR_RETURN(const Operator op, parse_operator(tokens));
  LCTL_RETURN_IF_ERROR(check_operator(key, op, operator_column));
  Comparison comparison{.key = key.key, .op = op, .value = {}};
  if (op == Operator::kIsNull || op == Operator::kIsNotNull) return comparison;
  const std::size_t value_column = tokens.front().column;
  LCTL_RETURN_IF_ERROR(parse_value(key, tokens, comparison));
  LCTL_RETURN_IF_ERROR(translate_states(key, value_column, comparison));
  return comparison;
}

absl::Status check_size(std::string_view text) {
  if (text.size() <= kMaxFilterBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("it has {} bytes; at most {} are allowed", text.size(), kMaxFilterBytes));
}

}  // namespace

absl::StatusOr<Filter> parse_filter(std::string_view text,
                                    std::span<const std::string_view> own_attributes) {
  LCTL_RETURN_IF_ERROR(check_size(text));
  LCTL_ASSIGN_OR_RETURN(const std::vector<FilterToken> all, filter_tokens(text));
  Tokens tokens(all);
  Filter filter;
  if (tokens.front().kind == TokenKind::kEnd) return filter;
  while (true) {
    if (filter.size() == kMaxComparisons) {
      return filter_error(tokens.front().column,
                          fmt::format("more than {} comparisons", kMaxComparisons));
    }
    LCTL_ASSIGN_OR_RETURN(Comparison comparison, parse_comparison(tokens, own_attributes));
    filter.push_back(std::move(comparison));
    const FilterToken next = take(tokens);
    if (next.kind == TokenKind::kEnd) return filter;
    if (is_keyword(next, "OR")) {
      return filter_error(next.column,
                          "OR is not in the grammar: comparisons are joined by AND; "
                          "IN ('a', 'b') stands for one of several texts");
    }
    if (!is_keyword(next, "AND")) {
      return filter_error(next.column,
                          fmt::format("expected AND or the end, found {}", shown(next)));
    }
  }
}

absl::StatusOr<Order> parse_order(std::string_view text,
                                  std::span<const std::string_view> own_attributes) {
  LCTL_RETURN_IF_ERROR(check_size(text));
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  const bool minus = begin < text.size() && text[begin] == '-';
  // A blank in its place keeps the columns.
  std::string key_text(text);
  if (minus) key_text[begin] = ' ';
  LCTL_ASSIGN_OR_RETURN(const std::vector<FilterToken> all, filter_tokens(key_text));
  Tokens tokens(all);
  LCTL_ASSIGN_OR_RETURN(const ParsedKey key, parse_key(tokens, own_attributes));
  Order order{.key = key.key, .descending = minus};
  FilterToken next = take(tokens);
  if (!minus && (is_keyword(next, "ASC") || is_keyword(next, "DESC"))) {
    order.descending = is_keyword(next, "DESC");
    next = take(tokens);
  }
  if (next.kind == TokenKind::kEnd) return order;
  return filter_error(next.column, fmt::format("expected {}the end, found {}; give one key each",
                                               minus ? "" : "ASC, DESC or ", shown(next)));
}

}  // namespace lctl::storage
