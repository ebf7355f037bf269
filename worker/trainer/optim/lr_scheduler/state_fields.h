// Attributes of a scheduler by name: one list serves saving and loading.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

// Made for one direction. Loading ignores names that the saved state lacks, as Python's
// __dict__.update does; a value of the wrong type throws std::invalid_argument.
// Thread rule: one strand only.
class StateFields {
 public:
  static StateFields saving_to(checkpoint::Dict& state) { return StateFields(&state, nullptr); }
  static StateFields loading_from(const checkpoint::Dict& state) {
    return StateFields(nullptr, &state);
  }

  void field(std::string_view name, bool& value);
  void field(std::string_view name, std::int64_t& value);
  void field(std::string_view name, double& value);
  void field(std::string_view name, std::string& value);
  void field(std::string_view name, std::vector<double>& values);
  void field(std::string_view name, std::vector<std::int64_t>& values);
  void field(std::string_view name, std::map<std::int64_t, std::int64_t>& counts);  // a Counter

  // Only when saving: an attribute that is always the same or needs no restoring.
  void constant(std::string_view name, checkpoint::Value value);

 private:
  StateFields(checkpoint::Dict* to, const checkpoint::Dict* from) : to_(to), from_(from) {}

  checkpoint::Dict* to_;
  const checkpoint::Dict* from_;
};

}  // namespace lctl
