#include "storage/search/key_parsing.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "storage/search/filter_parsing.h"

namespace lctl::storage {
namespace {

using Kind = SearchKey::Kind;

// MLflow's names, then ours.
constexpr std::pair<std::string_view, Attribute> kAttributes[] = {
    {"run_id", Attribute::kId},
    {"run_name", Attribute::kName},
    {"run name", Attribute::kName},
    {"Run name", Attribute::kName},
    {"Run Name", Attribute::kName},
    {"status", Attribute::kState},
    {"user_id", Attribute::kUser},
    {"created", Attribute::kStartTime},
    {"Created", Attribute::kStartTime},
    {"id", Attribute::kId},
    {"job_id", Attribute::kId},
    {"name", Attribute::kName},
    {"experiment", Attribute::kExperiment},
    {"state", Attribute::kState},
    {"user", Attribute::kUser},
    {"submitted_by", Attribute::kUser},
    {"note", Attribute::kNote},
    {"submit_time", Attribute::kSubmitTime},
    {"start_time", Attribute::kStartTime},
    {"end_time", Attribute::kEndTime},
    {"attempt", Attribute::kAttempt},
    {"restarts", Attribute::kRestarts},
};

constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"metric", Kind::kMetric},
    {"metrics", Kind::kMetric},
    {"param", Kind::kParameter},
    {"params", Kind::kParameter},
    {"parameter", Kind::kParameter},
    {"parameters", Kind::kParameter},
    {"hparam", Kind::kParameter},
    {"hparams", Kind::kParameter},
    {"tag", Kind::kTag},
    {"tags", Kind::kTag},
    {"attr", Kind::kAttribute},
    {"attribute", Kind::kAttribute},
    {"attributes", Kind::kAttribute},
    {"run", Kind::kAttribute},
};

std::optional<Attribute> attribute_named(std::string_view name) {
  for (const auto& [known, attribute] : kAttributes) {
    if (known == name) return attribute;
  }
  return std::nullopt;
}

std::optional<Kind> kind_named(std::string_view name) {
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

// Whether the token can be (a part of) a key.
bool names_something(const FilterToken& token) {
  return token.kind == FilterToken::Kind::kWord || token.kind == FilterToken::Kind::kBacktick ||
         (token.kind == FilterToken::Kind::kText && token.quote == '"');
}

using Names = std::span<const std::string_view>;

absl::StatusOr<ParsedKey> own_key(ParsedKey parsed, std::string name, Names own) {
  if (std::find(own.begin(), own.end(), name) == own.end()) {
    return filter_error(parsed.column, fmt::format("there is no attribute `{}` here; expected {}, "
                                                   "or tags.…",
                                                   name, fmt::join(own, ", ")));
  }
  parsed.written = name;
  parsed.key = {.kind = Kind::kOwn, .name = std::move(name)};
  return parsed;
}

absl::StatusOr<ParsedKey> key_of_kind(ParsedKey parsed, Kind kind, std::string name, Names own) {
  if (name.empty()) {
    return filter_error(parsed.column,
                        fmt::format("a name is expected behind `{}`", parsed.written));
  }
  if (kind == Kind::kAttribute && !own.empty()) {
    return own_key(std::move(parsed), std::move(name), own);
  }
  parsed.key = {.kind = kind, .name = std::move(name)};
  if (kind != Kind::kAttribute) return parsed;
  const std::optional<Attribute> attribute = attribute_named(parsed.key.name);
  if (!attribute) {
    return filter_error(parsed.column, fmt::format("jobs have no attribute `{}`; they have {}",
                                                   parsed.key.name, attribute_names()));
  }
  parsed.written = std::move(parsed.key.name);
  parsed.key = {.kind = kind, .attribute = *attribute, .name = {}};
  return parsed;
}

absl::StatusOr<ParsedKey> key_without_kind(ParsedKey parsed, bool quoted, Names own) {
  if (!own.empty()) {
    std::string name = parsed.written;
    return own_key(std::move(parsed), std::move(name), own);
  }
  if (const std::optional<Attribute> attribute = attribute_named(parsed.written)) {
    parsed.key = {.kind = Kind::kAttribute, .attribute = *attribute, .name = {}};
    return parsed;
  }
  const std::size_t dot = parsed.written.find('.');
  // "val/loss.best" can only be a metric; "foo.bar" is more likely a kind that does not exist.
  if (!quoted && dot != std::string::npos &&
      parsed.written.substr(0, dot).find('/') == std::string::npos) {
    return filter_error(
        parsed.column,
        fmt::format("`{}` is no kind of key; expected metrics, params (or hparams), tags or "
                    "attributes before the point; a metric of that name is metrics.`{}`",
                    parsed.written.substr(0, dot), parsed.written));
  }
  parsed.key = {.kind = Kind::kMetric, .name = parsed.written};
  parsed.bare = true;
  return parsed;
}

absl::StatusOr<ParsedKey> interpret(ParsedKey parsed, bool quoted, Names own) {
  if (quoted) return key_without_kind(std::move(parsed), quoted, own);
  const std::size_t dot = parsed.written.find('.');
  if (dot == std::string::npos) return key_without_kind(std::move(parsed), quoted, own);
  const std::string_view head = std::string_view(parsed.written).substr(0, dot);
  if (head == "dataset" || head == "datasets") {
    return filter_error(parsed.column,
                        "jobs keep no datasets to search for; expected metrics, "
                        "params, tags or attributes");
  }
  const std::optional<Kind> kind = kind_named(head);
  if (!kind) return key_without_kind(std::move(parsed), quoted, own);
  std::string name = parsed.written.substr(dot + 1);
  return key_of_kind(std::move(parsed), *kind, std::move(name), own);
}

}  // namespace

std::string attribute_names() {
  std::string names;
  for (int i = 0; i <= static_cast<int>(Attribute::kRestarts); ++i) {
    if (i > 0) names += ", ";
    names += name_of(static_cast<Attribute>(i));
  }
  return names;
}

absl::StatusOr<ParsedKey> parse_key(std::span<const FilterToken>& tokens, Names own) {
  const FilterToken& first = tokens.front();
  if (!names_something(first) || first.text.empty()) {
    const bool text = first.kind == FilterToken::Kind::kText;
    return filter_error(
        first.column,
        fmt::format("expected a key such as val/loss, params.lr or state, found "
                    "{}{}",
                    shown(first), text ? "; keys go in `backticks` or \"double quotes\"" : ""));
  }
  ParsedKey parsed{.key = {}, .written = first.text, .column = first.column};
  tokens = tokens.subspan(1);
  const bool quoted = first.kind != FilterToken::Kind::kWord;
  // metrics.`a b`: the quoted rest follows at once.
  if (!quoted && parsed.written.back() == '.' && names_something(tokens.front()) &&
      tokens.front().touches) {
    parsed.written += tokens.front().text;
    tokens = tokens.subspan(1);
    if (tokens.front().touches && names_something(tokens.front())) {
      return filter_error(tokens.front().column, "a space or an operator is expected here");
    }
  }
  if (parsed.written.size() > kMaxSearchKeyBytes) {
    return filter_error(parsed.column, fmt::format("a key of {} bytes; at most {} are allowed",
                                                   parsed.written.size(), kMaxSearchKeyBytes));
  }
  return interpret(std::move(parsed), quoted, own);
}

}  // namespace lctl::storage
