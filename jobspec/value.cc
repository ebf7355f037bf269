#include "jobspec/value.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "jobspec/yaml_writer.h"

namespace lctl::jobspec {

std::string Location::str() const {
  if (source == nullptr) return {};
  return line > 0 ? *source + ":" + std::to_string(line) : *source;
}

Value::Value() = default;
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

Value::Value(bool value, Location where) : data_(value), location_(std::move(where)) {}
Value::Value(std::int64_t value, Location where) : data_(value), location_(std::move(where)) {}
Value::Value(int value, Location where) : Value(std::int64_t{value}, std::move(where)) {}
Value::Value(double value, Location where) : data_(value), location_(std::move(where)) {}
Value::Value(std::string value, Location where)
    : data_(std::move(value)), location_(std::move(where)) {}
Value::Value(const char* value, Location where) : Value(std::string(value), std::move(where)) {}
Value::Value(List items, Location where) : data_(std::move(items)), location_(std::move(where)) {}
Value::Value(Map entries, Location where)
    : data_(std::move(entries)), location_(std::move(where)) {}

Value Value::null(Location where) {
  Value value;
  value.location_ = std::move(where);
  return value;
}

Value Value::empty_map(Location where) { return Value(Map{}, std::move(where)); }

bool Value::as_bool() const {
  LCTL_CHECK(is_bool(), "the caller has checked the kind");
  return std::get<bool>(data_);
}

std::int64_t Value::as_int() const {
  LCTL_CHECK(is_int(), "the caller has checked the kind");
  return std::get<std::int64_t>(data_);
}

double Value::as_double() const {
  LCTL_CHECK(is_number(), "the caller has checked the kind");
  return is_int() ? static_cast<double>(std::get<std::int64_t>(data_)) : std::get<double>(data_);
}

const std::string& Value::as_string() const {
  LCTL_CHECK(is_string(), "the caller has checked the kind");
  return std::get<std::string>(data_);
}

const Value::List& Value::list() const {
  LCTL_CHECK(is_list(), "the caller has checked the kind");
  return std::get<List>(data_);
}

const Value::Map& Value::map() const {
  LCTL_CHECK(is_map(), "the caller has checked the kind");
  return std::get<Map>(data_);
}

Value::List& Value::list() {
  LCTL_CHECK(is_list(), "the caller has checked the kind");
  return std::get<List>(data_);
}

Value::Map& Value::map() {
  LCTL_CHECK(is_map(), "the caller has checked the kind");
  return std::get<Map>(data_);
}

const Value* Value::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  for (const Entry& entry : map()) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

void Value::set(std::string_view key, Value value) {
  if (Value* old = find(key)) {
    *old = std::move(value);
    return;
  }
  Location where = value.location();
  map().push_back({std::string(key), std::move(where), std::move(value)});
}

bool Value::erase(std::string_view key) {
  return std::erase_if(map(), [key](const Entry& entry) { return entry.key == key; }) > 0;
}

std::string_view Value::kind_name() const {
  constexpr std::string_view kNames[] = {"null", "bool", "int", "float", "str", "list", "map"};
  return kNames[data_.index()];
}

std::string Value::preview(std::size_t limit) const {
  std::string text = is_string() ? as_string() : write_yaml_line(*this, limit);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  if (text.size() > limit) {
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end) + "…";
  }
  return text;
}

bool operator==(const Value& a, const Value& b) {
  if (a.data_.index() != b.data_.index()) return false;
  if (a.is_float()) {
    const double x = a.as_double();
    const double y = b.as_double();
    return x == y ? std::signbit(x) == std::signbit(y) : std::isnan(x) && std::isnan(y);
  }
  if (a.is_list()) return a.list() == b.list();
  if (!a.is_map()) return a.data_ == b.data_;
  return a.map().size() == b.map().size() &&
         std::all_of(a.map().begin(), a.map().end(), [&b](const Value::Entry& entry) {
           const Value* other = b.find(entry.key);
           return other != nullptr && *other == entry.value;
         });
}

}  // namespace lctl::jobspec
