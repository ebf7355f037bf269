// A search for jobs as a value: what a filter of MLflow's grammar says, ready to be evaluated
// (filter_matching.h) or turned into another language. filter_parsing.h makes it from text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lctl::storage {

// What every job has.
enum class Attribute : std::uint8_t {
  kId,
  kName,
  kExperiment,
  kState,  // its values are names of v1.JobState without their prefix: "QUEUED"
  kUser,
  kNote,
  kSubmitTime,  // times are milliseconds since 1970, as MLflow's
  kStartTime,
  kEndTime,
  kAttempt,
  kRestarts,
};

struct SearchKey {
  enum class Kind : std::uint8_t {
    kAttribute,
    kMetric,
    kParameter,
    kTag,
    kOwn,  // an attribute of what is searched if that is no job; compared as it is written
  };

  Kind kind = Kind::kAttribute;
  Attribute attribute = Attribute::kId;  // of kAttribute
  std::string name;                      // of the others: "val/loss"

  friend bool operator==(const SearchKey&, const SearchKey&) = default;
};

enum class Operator : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kLike,   // % = any text, _ = one character
  kILike,  // the same in any case (ASCII)
  kIn,
  kNotIn,
  kIsNull,
  kIsNotNull,
};

using Texts = std::vector<std::string>;

// `key op value`. A number is compared with numbers and a text with texts; kIn and kNotIn have
// Texts, kIsNull and kIsNotNull nothing.
struct Comparison {
  SearchKey key;
  Operator op = Operator::kEqual;
  std::variant<std::monostate, double, std::string, Texts> value;

  friend bool operator==(const Comparison&, const Comparison&) = default;
};

// All of them must hold; none = every job.
using Filter = std::vector<Comparison>;

struct Order {
  SearchKey key;
  bool descending = false;

  friend bool operator==(const Order&, const Order&) = default;
};

// Whether the attribute is a number (a time or a count) and not a text.
bool is_number(Attribute attribute);

// "start_time": the name by which messages call it.
std::string_view name_of(Attribute attribute);

// In the grammar: parsing it gives an equal value.
std::string to_text(const SearchKey& key);
std::string to_text(const Filter& filter);
std::string to_text(const Order& order);

}  // namespace lctl::storage
