#include "storage/search/filter_tokens.h"

#include <fmt/format.h>

#include <utility>

namespace lctl::storage {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kEndsWord = " \t\r\n=!<>(),'\"`;";
constexpr std::size_t kShownBytes = 40;

// From the opening quote at `at`; moves behind the closing one.
absl::StatusOr<std::string> read_quoted(std::string_view text, std::size_t& at) {
  const std::size_t opened = at;
  const char quote = text[at++];
  std::string out;
  while (at < text.size()) {
    const char c = text[at++];
    if (c != quote) {
      out += c;
    } else if (at < text.size() && text[at] == quote) {
      out += text[at++];
    } else {
      return out;
    }
  }
  return filter_error(opened + 1, fmt::format("the quote {} is never closed", quote));
}

// "<=" and "!=" are one sign, "==" and "<>" are others' spelling.
absl::StatusOr<std::string> read_sign(std::string_view text, std::size_t& at) {
  const std::string_view rest = text.substr(at);
  for (const std::string_view sign : {"!=", "<=", ">="}) {
    if (rest.substr(0, 2) != sign) continue;
    at += 2;
    return std::string(sign);
  }
  if (rest.substr(0, 2) == "==") return filter_error(at + 1, "write `=` for equal, not `==`");
  if (rest.substr(0, 2) == "<>") return filter_error(at + 1, "write `!=` for unequal, not `<>`");
  if (rest.front() == '!' || rest.front() == ';') {
    return filter_error(at + 1, fmt::format("`{}` means nothing here; put names that have it in "
                                            "`backticks`, texts in 'quotes'",
                                            rest.front()));
  }
  ++at;
  return std::string(1, rest.front());
}

}  // namespace

absl::Status filter_error(std::size_t column, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("column {}: {}", column, what));
}

absl::StatusOr<std::vector<FilterToken>> filter_tokens(std::string_view text) {
  std::vector<FilterToken> tokens;
  std::size_t at = 0;
  std::size_t end_of_last = std::string_view::npos;
  while (true) {
    at = std::min(text.find_first_not_of(kSpace, at), text.size());
    FilterToken token{.text = {}, .column = at + 1, .touches = at == end_of_last};
    if (at == text.size()) {
      tokens.push_back(std::move(token));
      return tokens;
    }
    const char c = text[at];
    if (static_cast<unsigned char>(c) < 32 || c == 127) {
      return filter_error(at + 1, "a control character is no part of a search");
    }
    if (c == '\'' || c == '"' || c == '`') {
      token.kind = c == '`' ? FilterToken::Kind::kBacktick : FilterToken::Kind::kText;
      token.quote = c;
      LCTL_ASSIGN_OR_RETURN(token.text, read_quoted(text, at));
    } else if (kEndsWord.find(c) != std::string_view::npos) {
      token.kind = FilterToken::Kind::kSign;
      LCTL_ASSIGN_OR_RETURN(token.text, read_sign(text, at));
    } else {
      const std::size_t begin = at;
      while (at < text.size() && kEndsWord.find(text[at]) == std::string_view::npos &&
             static_cast<unsigned char>(text[at]) >= 32 && text[at] != 127) {
        ++at;
      }
      token.kind = FilterToken::Kind::kWord;
      token.text = std::string(text.substr(begin, at - begin));
    }
    end_of_last = at;
    tokens.push_back(std::move(token));
  }
}

std::string shown(const FilterToken& token) {
  if (token.kind == FilterToken::Kind::kEnd) return "the end";
  std::string text = token.text.substr(0, kShownBytes);
  // A cut character is left out whole.
  while (text.size() == kShownBytes && !text.empty() && (text.back() & 0x80) != 0) text.pop_back();
  if (text.size() < token.text.size()) text += "…";
  if (token.kind == FilterToken::Kind::kText) {
    return fmt::format("{}{}{}", token.quote, text, token.quote);
  }
  return fmt::format("`{}`", text);
}

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

bool is_keyword(const FilterToken& token, std::string_view upper) {
  return token.kind == FilterToken::Kind::kWord && upper_case(token.text) == upper;
}

}  // namespace lctl::storage
