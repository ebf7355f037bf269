#include "worker/trainer/checkpoint/comparison.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <utility>

namespace lctl::checkpoint {
namespace {

constexpr std::size_t kShownText = 60;  // characters of a string

std::string text_of(const Value& value) {
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.as_bool() ? "True" : "False";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_double()) return fmt::format("{}", value.as_double());
  if (value.is_string()) {
    const std::string& text = value.as_string();
    return text.size() <= kShownText ? "'" + text + "'" : "'" + text.substr(0, kShownText) + "…'";
  }
  if (value.is_tensor()) {
    const at::Tensor& tensor = value.as_tensor();
    std::string dtype = c10::toString(tensor.scalar_type());
    for (char& letter : dtype) letter = static_cast<char>(std::tolower(letter));
    return fmt::format("{} [{}]", dtype, fmt::join(tensor.sizes(), ", "));
  }
  if (value.is_dict()) return fmt::format("dict of {}", value.as_dict().size());
  const std::size_t items =
      value.is_list() ? value.as_list().size() : value.as_tuple().items.size();
  return fmt::format("{} of {}", value.type_name(), items);
}

bool equal_scalars(const Value& a, const Value& b) {
  if (a.is_none()) return b.is_none();
  if (a.is_bool()) return b.is_bool() && a.as_bool() == b.as_bool();
  if (a.is_int()) return b.is_int() && a.as_int() == b.as_int();
  if (a.is_string()) return b.is_string() && a.as_string() == b.as_string();
  if (!a.is_double() || !b.is_double()) return false;
  return a.as_double() == b.as_double() || (std::isnan(a.as_double()) && std::isnan(b.as_double()));
}

TensorChange change_of(const at::Tensor& first, const at::Tensor& second) {
  const at::Tensor a = first.to(at::kDouble);
  const at::Tensor b = second.to(at::kDouble);
  const at::Tensor equal = a.eq(b).logical_or_(a.isnan().logical_and(b.isnan()));
  const at::Tensor difference = (b - a).masked_fill_(equal, 0);
  TensorChange change{.elements = a.numel(),
                      .changed = a.numel() - equal.sum().item<std::int64_t>()};
  if (change.changed == 0) return change;
  change.largest = difference.abs().max().item<double>();
  const double norm = a.norm().item<double>();
  change.relative =
      norm == 0 ? std::numeric_limits<double>::infinity() : difference.norm().item<double>() / norm;
  return change;
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

class Comparing {
 public:
  Comparison take() { return std::move(result_); }

  void values(const std::string& path, const Value& a, const Value& b) {
    if (a.is_tensor() && b.is_tensor()) {
      tensors(path, a, b);
    } else if (a.is_dict() && b.is_dict()) {
      dicts(path, a.as_dict(), b.as_dict());
    } else if (a.is_list() && b.is_list()) {
      sequences(path, a.as_list(), b.as_list());
    } else if (a.is_tuple() && b.is_tuple()) {
      sequences(path, a.as_tuple().items, b.as_tuple().items);
    } else if (equal_scalars(a, b)) {
      ++result_.equal_values;
    } else {
      add(Difference::Kind::kChanged, path, text_of(a), text_of(b));
    }
  }

 private:
  Difference& add(Difference::Kind kind, const std::string& path, std::string first,
                  std::string second) {
    return result_.differences.emplace_back(Difference{.kind = kind,
                                                       .path = path,
                                                       .first = std::move(first),
                                                       .second = std::move(second),
                                                       .tensor = {}});
  }
  void only_first(const std::string& path, const Value& value) {
    add(Difference::Kind::kOnlyFirst, path, text_of(value), "");
  }
  void only_second(const std::string& path, const Value& value) {
    add(Difference::Kind::kOnlySecond, path, "", text_of(value));
  }

  void tensors(const std::string& path, const Value& a, const Value& b) {
    const at::Tensor& first = a.as_tensor();
    const at::Tensor& second = b.as_tensor();
    if (first.sizes() != second.sizes() || first.scalar_type() != second.scalar_type()) {
      add(Difference::Kind::kChanged, path, text_of(a), text_of(b));
      return;
    }
    const TensorChange change = change_of(first, second);
    if (change.changed == 0) {
      ++result_.equal_tensors;
      result_.equal_elements += change.elements;
      return;
    }
    add(Difference::Kind::kChanged, path, text_of(a), text_of(b)).tensor = change;
  }

  void dicts(const std::string& path, const Dict& a, const Dict& b) {
    const auto find = [](const Dict& dict, const Value& key) {
      return key.is_int() ? dict.find(key.as_int()) : dict.find(key.as_string());
    };
    const auto name = [](const Value& key) {
      return key.is_int() ? std::to_string(key.as_int()) : key.as_string();
    };
    for (const Dict::Entry& entry : a.entries()) {
      const std::string inner = joined(path, name(entry.key));
      if (const Value* other = find(b, entry.key); other != nullptr) {
        values(inner, entry.value, *other);
      } else {
        only_first(inner, entry.value);
      }
    }
    for (const Dict::Entry& entry : b.entries()) {
      if (find(a, entry.key) == nullptr) only_second(joined(path, name(entry.key)), entry.value);
    }
  }

  void sequences(const std::string& path, const std::vector<Value>& a,
                 const std::vector<Value>& b) {
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      const std::string inner = joined(path, std::to_string(i));
      if (i >= b.size()) {
        only_first(inner, a[i]);
      } else if (i >= a.size()) {
        only_second(inner, b[i]);
      } else {
        values(inner, a[i], b[i]);
      }
    }
  }

  Comparison result_;
};

}  // namespace

Comparison compare(const Value& first, const Value& second) {
  Comparing comparing;
  comparing.values("", first, second);
  return comparing.take();
}

}  // namespace lctl::checkpoint
