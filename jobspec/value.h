// The configuration as a small ordered tree: what the YAML says, and where it says it. Everything
// in jobspec/ works on Values; yaml-cpp is seen by yaml_reader.cc alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lctl::jobspec {

// Where a value was written.
struct Location {
  // The user's file ("digits.yaml") or the override ("--trainer.max_epochs=3"); null = made by
  // lctl.
  std::shared_ptr<const std::string> source;
  int line = 0;    // from 1; 0 = there is no line (an override)
  int column = 0;  // from 1

  // "digits.yaml:12", "--trainer.max_epochs=3"; "" when made by lctl.
  std::string str() const;
};

// One node of the tree: null, bool, integer, float, text, list or map. Integers and floats are told
// apart, as Lightning does (`1` is one batch, `1.0` all of them). Maps keep the order of the text.
// A plain value type; copies are deep. Thread rule: immutable once shared.
class Value {
 public:
  struct Entry;
  using List = std::vector<Value>;
  using Map = std::vector<Entry>;

  // Defined where Entry is complete.
  Value();  // null
  explicit Value(bool value, Location where = {});
  explicit Value(std::int64_t value, Location where = {});
  explicit Value(int value, Location where = {});
  explicit Value(double value, Location where = {});
  explicit Value(std::string value, Location where = {});
  explicit Value(const char* value, Location where = {});
  explicit Value(List items, Location where = {});
  explicit Value(Map entries, Location where = {});
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();
  static Value null(Location where);
  static Value empty_map(Location where = {});

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_list() const { return std::holds_alternative<List>(data_); }
  bool is_map() const { return std::holds_alternative<Map>(data_); }

  // The content. Asking for another kind than it is breaks an invariant of the caller (LCTL_CHECK).
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;  // of an integer or a float
  const std::string& as_string() const;
  const List& list() const;
  const Map& map() const;
  List& list();
  Map& map();

  // The value under `key`; null when this is no map or has no such key. Valid until the map
  // changes.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  // Sets or replaces `key` of a map (LCTL_CHECK). The key of a new entry takes the value's
  // location.
  void set(std::string_view key, Value value);
  // Removes `key` of a map; false when it was not there.
  bool erase(std::string_view key);

  const Location& location() const { return location_; }

  // True for an integer that was written otherwise than it is printed (0x1F, 1_000, +5): as a text
  // it would be another. Does not count in comparisons.
  bool is_respelled() const { return respelled_; }
  void set_respelled(bool respelled) { respelled_ = respelled; }

  // The name of the kind for messages: "null", "bool", "int", "float", "str", "list", "map".
  std::string_view kind_name() const;
  // The value as one line of YAML, cut with "…" beyond `limit` bytes, for messages.
  std::string preview(std::size_t limit = 60) const;

  // Equal content in equal order of lists; maps compare without order, as in YAML. 1 and 1.0
  // differ, two NaN are equal. Locations do not count.
  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> data_;
  Location location_;
  bool respelled_ = false;
};

struct Value::Entry {
  std::string key;  // keys are texts; a number used as a key keeps its spelling ("0")
  Location key_location;
  Value value;

  friend bool operator==(const Entry& a, const Entry& b) {
    return a.key == b.key && a.value == b.value;
  }
};

}  // namespace lctl::jobspec
