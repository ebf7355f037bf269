// Whether a job fits a comparison, and which of two comes first. Pure: values come in.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "storage/search/filter.h"

namespace lctl::storage {

// What a job has under a key: nothing, a text, a number, or a text that is a number too
// (parameters).
struct FoundValue {
  std::optional<std::string> text;
  std::optional<double> number;

  bool empty() const { return !text && !number; }
};

// As in MLflow a key that the job does not have fits nothing, not even !=; but IS NULL.
// A text that is no number fits no comparison with a number. NaN fits != only.
bool holds(const Comparison& comparison, const FoundValue& found);

// SQL's LIKE: % is any text, _ one character (UTF-8). `any_case` for ASCII letters. Takes at most
// |text| * |pattern| steps.
bool is_like(std::string_view text, std::string_view pattern, bool any_case);

// Ascending or descending; within that numbers before NaN before nothing, either way, as in MLflow.
// Parameters: numbers before texts.
std::weak_ordering compare(const FoundValue& a, const FoundValue& b, bool descending);

}  // namespace lctl::storage
