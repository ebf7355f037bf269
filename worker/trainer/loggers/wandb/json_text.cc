#include "worker/trainer/loggers/wandb/json_text.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace lctl::wandb {
namespace {

using checkpoint::Value;

// "[a, b]" of texts that are JSON already.
template <typename Items, typename Text>
std::string joined(const Items& items, char open, char close, Text&& text) {
  std::string out(1, open);
  for (const auto& item : items) {
    if (out.size() > 1) out.push_back(',');
    out += text(item);
  }
  out.push_back(close);
  return out;
}

std::string json_of_items(const std::vector<Value>& items) {
  return joined(items, '[', ']', [](const Value& item) { return json_of(item); });
}

std::string json_of_tensor(const at::Tensor& tensor) {
  if (tensor.numel() == 1) {
    return tensor.is_floating_point() ? json_of(tensor.item<double>())
                                      : std::to_string(tensor.item<std::int64_t>());
  }
  std::ostringstream text;
  text << "tensor of shape " << tensor.sizes();
  return json_of(std::string_view(text.str()));
}

}  // namespace

std::string json_of(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return fmt::format("{}", number);
}

std::string json_of(std::span<const double> numbers) {
  return joined(numbers, '[', ']', [](double number) { return json_of(number); });
}

std::string json_of(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_of(const Value& value) {
  if (value.is_none()) return "null";
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_double()) return json_of(value.as_double());
  if (value.is_string()) return json_of(std::string_view(value.as_string()));
  if (value.is_tensor()) return json_of_tensor(value.as_tensor());
  if (value.is_list()) return json_of_items(value.as_list());
  if (value.is_tuple()) return json_of_items(value.as_tuple().items);
  return joined(value.as_dict().entries(), '{', '}', [](const checkpoint::Dict::Entry& entry) {
    const std::string key =
        entry.key.is_string() ? entry.key.as_string() : std::to_string(entry.key.as_int());
    return json_of(std::string_view(key)) + ":" + json_of(entry.value);
  });
}

}  // namespace lctl::wandb
