// The arguments of one class: those given in the job file, over the defaults of the key table. The
// one place from which the trainer takes a setting, so that defaults are written down once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobspec/keys/key_table.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Already checked: every name is known, every value has its type and bounds. Asking for a name that
// the class does not have, or for another type than the table's, breaks an invariant (LCTL_CHECK).
// Thread rule: immutable.
class Arguments {
 public:
  Arguments() = default;  // of no class: holds nothing
  // `given` is a map. `table` lives for ever (keys::find_class, keys::section).
  Arguments(const keys::Class& table, Value given);

  // True when the file names the argument with a value (null counts only where null is a value).
  bool has(std::string_view name) const;
  // What is given, else the default; null when that is null.
  const Value& get(std::string_view name) const;

  bool get_bool(std::string_view name) const { return get(name).as_bool(); }
  std::int64_t get_int(std::string_view name) const { return get(name).as_int(); }
  double get_double(std::string_view name) const { return get(name).as_double(); }
  const std::string& get_string(std::string_view name) const { return get(name).as_string(); }
  // Empty when the value is null.
  std::optional<bool> get_optional_bool(std::string_view name) const;
  std::optional<std::int64_t> get_optional_int(std::string_view name) const;
  std::optional<double> get_optional_double(std::string_view name) const;
  std::optional<std::string> get_optional_string(std::string_view name) const;
  // Of a list of integers, or of one integer (a list of one).
  std::vector<std::int64_t> get_ints(std::string_view name) const;
  std::vector<double> get_doubles(std::string_view name) const;

  // The given ones as a map, in the order of the file, without those that are null for "not given".
  const Value& given() const { return given_; }

  friend bool operator==(const Arguments& a, const Arguments& b) {
    return a.table_ == b.table_ && a.given_ == b.given_;
  }

 private:
  const keys::Class* table_ = nullptr;
  Value given_ = Value::empty_map();
};

// The default of an argument that has one, as a Value; lives for ever. Any thread.
const Value& default_value(const keys::Argument& argument);

}  // namespace lctl::jobspec
