// A Python-like value: what a Lightning checkpoint is made of. Insertion order of dictionaries is
// kept, because files must compare equal to Lightning's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace lctl::checkpoint {

class Value;

struct None {
  friend bool operator==(None, None) = default;
};

using List = std::vector<Value>;

// A Python tuple.
struct Tuple {
  std::vector<Value> items;
};

// A dict or an OrderedDict. Keys are strings or integers, unique; lookups are linear below 16
// entries and hashed above. `metadata` is the OrderedDict attribute `_metadata` of a state_dict.
class Dict {
 public:
  struct Entry;  // key and value

  // Defined where Entry is complete.
  Dict();
  // {{"lr", 0.1}, {"layers", 3}}; of equal keys the last counts.
  Dict(std::initializer_list<std::pair<std::string_view, Value>> items);
  Dict(const Dict&);
  Dict(Dict&&) noexcept;
  Dict& operator=(const Dict&);
  Dict& operator=(Dict&&) noexcept;
  ~Dict();

  // The value of that key, or nullptr.
  const Value* find(std::string_view key) const;
  const Value* find(std::int64_t key) const;
  Value* find(std::string_view key);

  // Replaces an existing entry in place, else appends.
  void set(std::string_view key, Value value);
  void set(std::int64_t key, Value value);

  // Like find, but throws std::out_of_range naming the key and the keys that exist.
  const Value& at(std::string_view key) const;

  // at(), as a bool, an integer type, a floating point type or std::string. Throws
  // std::invalid_argument naming the key when the value is of another type.
  template <typename T>
  T get(std::string_view key) const;

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t size() const;

  bool ordered = false;            // written as collections.OrderedDict
  std::shared_ptr<Dict> metadata;  // only with ordered; may be null

 private:
  struct Index;
  static void index_key(Index& index, const Value& key, std::size_t at);
  std::size_t position(std::string_view key) const;  // entries_.size() when absent
  std::size_t position(std::int64_t key) const;
  void append(Value key, Value value);

  std::vector<Entry> entries_;
  std::shared_ptr<Index> index_;  // of large dictionaries; shared by copies until one changes
};

// Lists, tuples and dictionaries are shared by copies of a Value, as Python references are; tensors
// too. Accessors throw std::invalid_argument that names the wanted
// and the actual type. Thread rule: caller locks.
class Value {
 public:
  Value() : data_(None{}) {}
  Value(None) : data_(None{}) {}
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(int value) : data_(static_cast<std::int64_t>(value)) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(at::Tensor value) : data_(std::move(value)) {}
  Value(List value) : data_(std::make_shared<List>(std::move(value))) {}
  Value(Tuple value) : data_(std::make_shared<Tuple>(std::move(value))) {}
  Value(Dict value) : data_(std::make_shared<Dict>(std::move(value))) {}

  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_double() const { return std::holds_alternative<double>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_tensor() const { return std::holds_alternative<at::Tensor>(data_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<List>>(data_); }
  bool is_tuple() const { return std::holds_alternative<std::shared_ptr<Tuple>>(data_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<Dict>>(data_); }

  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;  // also of an int
  const std::string& as_string() const;
  const at::Tensor& as_tensor() const;
  const List& as_list() const;
  List& as_list();
  const Tuple& as_tuple() const;
  Tuple& as_tuple();
  const Dict& as_dict() const;
  Dict& as_dict();

  // Python's name of the type: "None", "bool", "int", "float", "str", "Tensor", "list", "tuple",
  // "dict".
  const char* type_name() const;

 private:
  [[noreturn]] void wrong_type(const char* wanted) const;

  std::variant<None, bool, std::int64_t, double, std::string, at::Tensor, std::shared_ptr<List>,
               std::shared_ptr<Tuple>, std::shared_ptr<Dict>>
      data_;
};

struct Dict::Entry {
  Value key;
  Value value;
};

template <typename T>
T Dict::get(std::string_view key) const {
  const Value& value = at(key);
  try {
    if constexpr (std::is_same_v<T, bool>) {
      return value.as_bool();
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(value.as_int());
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(value.as_double());
    } else {
      return T(value.as_string());
    }
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("'" + std::string(key) + "': " + error.what());
  }
}

}  // namespace lctl::checkpoint
