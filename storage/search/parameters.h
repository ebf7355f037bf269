// From YAML to what a search compares: hyper-parameters and job files as flat lists of values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lctl::storage {

struct Parameter {
  std::string key;   // "layers.0.out_features": names of maps and places in lists, joined by points
  std::string text;  // as it was written, without quotes; "null" for a value left out
  std::optional<double> number;  // of plain (unquoted) finite numbers

  friend bool operator==(const Parameter&, const Parameter&) = default;
};

// What is beyond these is not searchable, and no error: training goes on without it.
inline constexpr std::size_t kMaxParameterYamlBytes = 256 << 10;
inline constexpr std::size_t kMaxParameters = 2'000;
inline constexpr std::size_t kMaxParameterKeyBytes = 250;     // as MLflow's
inline constexpr std::size_t kMaxParameterTextBytes = 6'000;  // as MLflow's

// A parameter of this text: with a number if it is one.
Parameter plain_parameter(std::string key, std::string text);

// The scalars of the text's first document, sorted by key; of two with one key the last. Left out:
// what an alias stands for, keys that are no scalars, empty lists and maps. Empty for what is no
// YAML, up to the mistake for what is YAML in part.
std::vector<Parameter> flatten_yaml(std::string_view yaml);

// The same of a job file: all but its section `job`, which other columns hold.
std::vector<Parameter> flatten_config(std::string_view config_yaml);

}  // namespace lctl::storage
