#include "worker/trainer/checkpoint/value.h"

#include <fmt/format.h>

#include <stdexcept>
#include <unordered_map>

namespace lctl::checkpoint {
namespace {

// Dictionaries up to this size are searched entry by entry.
constexpr std::size_t kLinearSearch = 16;

}  // namespace

// Positions of the string keys of a large dictionary.
struct Dict::Index {
  std::unordered_map<std::string, std::size_t> strings;
  std::unordered_map<std::int64_t, std::size_t> integers;
};

Dict::Dict() = default;
Dict::Dict(std::initializer_list<std::pair<std::string_view, Value>> items) {
  for (const auto& [key, value] : items) set(key, value);
}
Dict::Dict(const Dict&) = default;
Dict::Dict(Dict&&) noexcept = default;
Dict& Dict::operator=(const Dict&) = default;
Dict& Dict::operator=(Dict&&) noexcept = default;
Dict::~Dict() = default;

std::size_t Dict::size() const { return entries_.size(); }

std::size_t Dict::position(std::string_view key) const {
  if (index_ != nullptr) {
    const auto found = index_->strings.find(std::string(key));
    return found == index_->strings.end() ? entries_.size() : found->second;
  }
  std::size_t at = 0;
  while (at < entries_.size() &&
         !(entries_[at].key.is_string() && entries_[at].key.as_string() == key)) {
    ++at;
  }
  return at;
}

std::size_t Dict::position(std::int64_t key) const {
  if (index_ != nullptr) {
    const auto found = index_->integers.find(key);
    return found == index_->integers.end() ? entries_.size() : found->second;
  }
  std::size_t at = 0;
  while (at < entries_.size() && !(entries_[at].key.is_int() && entries_[at].key.as_int() == key)) {
    ++at;
  }
  return at;
}

void Dict::append(Value key, Value value) {
  if (index_ != nullptr || entries_.size() >= kLinearSearch) {
    // A shared index would be changed under the copy's feet: build or copy it.
    auto index = index_ == nullptr ? std::make_shared<Index>() : index_;
    if (index_ == nullptr) {
      for (std::size_t i = 0; i < entries_.size(); ++i) index_key(*index, entries_[i].key, i);
    } else if (index_.use_count() > 2) {
      index = std::make_shared<Index>(*index_);
    }
    index_key(*index, key, entries_.size());
    index_ = std::move(index);
  }
  entries_.push_back({std::move(key), std::move(value)});
}

void Dict::index_key(Index& index, const Value& key, std::size_t at) {
  if (key.is_string()) {
    index.strings.emplace(key.as_string(), at);
  } else {
    index.integers.emplace(key.as_int(), at);
  }
}

const Value* Dict::find(std::string_view key) const {
  const std::size_t at = position(key);
  return at == entries_.size() ? nullptr : &entries_[at].value;
}

const Value* Dict::find(std::int64_t key) const {
  const std::size_t at = position(key);
  return at == entries_.size() ? nullptr : &entries_[at].value;
}

Value* Dict::find(std::string_view key) {
  const std::size_t at = position(key);
  return at == entries_.size() ? nullptr : &entries_[at].value;
}

void Dict::set(std::string_view key, Value value) {
  const std::size_t at = position(key);
  if (at == entries_.size()) {
    append(Value(key), std::move(value));
  } else {
    entries_[at].value = std::move(value);
  }
}

void Dict::set(std::int64_t key, Value value) {
  const std::size_t at = position(key);
  if (at == entries_.size()) {
    append(Value(key), std::move(value));
  } else {
    entries_[at].value = std::move(value);
  }
}

const Value& Dict::at(std::string_view key) const {
  if (const Value* value = find(key); value != nullptr) return *value;
  std::string known;
  for (const Entry& entry : entries_) {
    if (known.size() > 200) {
      known += ", …";
      break;
    }
    if (!known.empty()) known += ", ";
    known += entry.key.is_string() ? entry.key.as_string() : std::to_string(entry.key.as_int());
  }
  throw std::out_of_range(fmt::format("no key '{}'; there are: {}", key, known));
}

const char* Value::type_name() const {
  static constexpr const char* kNames[] = {"None",   "bool", "int",   "float", "str",
                                           "Tensor", "list", "tuple", "dict"};
  return kNames[data_.index()];
}

void Value::wrong_type(const char* wanted) const {
  throw std::invalid_argument(fmt::format("expected {}, found {}", wanted, type_name()));
}

bool Value::as_bool() const {
  if (!is_bool()) wrong_type("bool");
  return std::get<bool>(data_);
}

std::int64_t Value::as_int() const {
  if (!is_int()) wrong_type("int");
  return std::get<std::int64_t>(data_);
}

double Value::as_double() const {
  if (is_int()) return static_cast<double>(std::get<std::int64_t>(data_));
  if (!is_double()) wrong_type("float");
  return std::get<double>(data_);
}

const std::string& Value::as_string() const {
  if (!is_string()) wrong_type("str");
  return std::get<std::string>(data_);
}

const at::Tensor& Value::as_tensor() const {
  if (!is_tensor()) wrong_type("Tensor");
  return std::get<at::Tensor>(data_);
}

const List& Value::as_list() const {
  if (!is_list()) wrong_type("list");
  return *std::get<std::shared_ptr<List>>(data_);
}

List& Value::as_list() {
  if (!is_list()) wrong_type("list");
  return *std::get<std::shared_ptr<List>>(data_);
}

const Tuple& Value::as_tuple() const {
  if (!is_tuple()) wrong_type("tuple");
  return *std::get<std::shared_ptr<Tuple>>(data_);
}

Tuple& Value::as_tuple() {
  if (!is_tuple()) wrong_type("tuple");
  return *std::get<std::shared_ptr<Tuple>>(data_);
}

const Dict& Value::as_dict() const {
  if (!is_dict()) wrong_type("dict");
  return *std::get<std::shared_ptr<Dict>>(data_);
}

Dict& Value::as_dict() {
  if (!is_dict()) wrong_type("dict");
  return *std::get<std::shared_ptr<Dict>>(data_);
}

}  // namespace lctl::checkpoint
