#include "storage/search/filter.h"

#include <fmt/format.h>

namespace lctl::storage {
namespace {

// The quote is doubled inside.
std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}

std::string_view sign_of(Operator op) {
  switch (op) {
    case Operator::kEqual:
      return "=";
    case Operator::kNotEqual:
      return "!=";
    case Operator::kLess:
      return "<";
    case Operator::kLessOrEqual:
      return "<=";
    case Operator::kGreater:
      return ">";
    case Operator::kGreaterOrEqual:
      return ">=";
    case Operator::kLike:
      return "LIKE";
    case Operator::kILike:
      return "ILIKE";
    case Operator::kIn:
      return "IN";
    case Operator::kNotIn:
      return "NOT IN";
    case Operator::kIsNull:
      return "IS NULL";
    case Operator::kIsNotNull:
      return "IS NOT NULL";
  }
  return "";
}

std::string to_text(const Comparison& comparison) {
  std::string text = fmt::format("{} {}", to_text(comparison.key), sign_of(comparison.op));
  if (const auto* number = std::get_if<double>(&comparison.value)) {
    text += fmt::format(" {}", *number);
  } else if (const auto* one = std::get_if<std::string>(&comparison.value)) {
    text += " " + quoted(*one, '\'');
  } else if (const auto* several = std::get_if<Texts>(&comparison.value)) {
    const char* separator = " (";
    for (const std::string& entry : *several) {
      text += separator + quoted(entry, '\'');
      separator = ", ";
    }
    text += ")";
  }
  return text;
}

}  // namespace

bool is_number(Attribute attribute) {
  switch (attribute) {
    case Attribute::kSubmitTime:
    case Attribute::kStartTime:
    case Attribute::kEndTime:
    case Attribute::kAttempt:
    case Attribute::kRestarts:
      return true;
    case Attribute::kId:
    case Attribute::kName:
    case Attribute::kExperiment:
    case Attribute::kState:
    case Attribute::kUser:
    case Attribute::kNote:
      return false;
  }
  return false;
}

std::string_view name_of(Attribute attribute) {
  switch (attribute) {
    case Attribute::kId:
      return "id";
    case Attribute::kName:
      return "name";
    case Attribute::kExperiment:
      return "experiment";
    case Attribute::kState:
      return "state";
    case Attribute::kUser:
      return "user";
    case Attribute::kNote:
      return "note";
    case Attribute::kSubmitTime:
      return "submit_time";
    case Attribute::kStartTime:
      return "start_time";
    case Attribute::kEndTime:
      return "end_time";
    case Attribute::kAttempt:
      return "attempt";
    case Attribute::kRestarts:
      return "restarts";
  }
  return "";
}

std::string to_text(const SearchKey& key) {
  switch (key.kind) {
    case SearchKey::Kind::kAttribute:
      return std::string(name_of(key.attribute));
    case SearchKey::Kind::kMetric:
      return "metrics." + quoted(key.name, '`');
    case SearchKey::Kind::kParameter:
      return "params." + quoted(key.name, '`');
    case SearchKey::Kind::kTag:
      return "tags." + quoted(key.name, '`');
    case SearchKey::Kind::kOwn:
      return key.name;
  }
  return "";
}

std::string to_text(const Filter& filter) {
  std::string text;
  for (const Comparison& comparison : filter) {
    if (!text.empty()) text += " AND ";
    text += to_text(comparison);
  }
  return text;
}

std::string to_text(const Order& order) {
  return to_text(order.key) + (order.descending ? " DESC" : " ASC");
}

}  // namespace lctl::storage
