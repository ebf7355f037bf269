#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "worker/trainer/models/layer.h"
#include "worker/trainer/models/layers/tables.h"

namespace lctl {
namespace layers {
namespace {

class Operation final : public torch::nn::Module {
 public:
  explicit Operation(std::string name) : Module(std::move(name)) {}
};

}  // namespace

Layer operation(std::string name, std::function<at::Tensor(const at::Tensor&, bool)> fn) {
  auto module = std::make_shared<Operation>(std::move(name));
  const Operation* const raw = module.get();
  return {std::move(module),
          [raw, fn = std::move(fn)](const at::Tensor& x) { return fn(x, raw->is_training()); }};
}

Layer operation(std::string name, std::function<at::Tensor(const at::Tensor&)> fn) {
  return {std::make_shared<Operation>(std::move(name)), std::move(fn)};
}

std::vector<std::int64_t> sizes(const jobspec::Arguments& arguments, std::string_view name,
                                std::size_t count) {
  std::vector<std::int64_t> values = arguments.get_ints(name);
  if (values.size() == 1) values.resize(count, values.front());
  if (values.size() != count) {
    throw std::invalid_argument(
        fmt::format("{} must be one number or {}, not {}", name, count, values.size()));
  }
  return values;
}

std::vector<std::int64_t> optional_sizes(const jobspec::Arguments& arguments, std::string_view name,
                                         std::size_t count) {
  return arguments.get(name).is_null() ? std::vector<std::int64_t>{}
                                       : sizes(arguments, name, count);
}

}  // namespace layers

namespace {

auto all_tables() {
  return std::array{layers::linear_layers(),      layers::activation_layers(),
                    layers::convolution_layers(), layers::normalization_layers(),
                    layers::pooling_layers(),     layers::recurrent_layers(),
                    layers::shape_layers(),       layers::transformer_layers()};
}

}  // namespace

std::vector<std::string_view> layer_names() {
  std::vector<std::string_view> names;
  for (const std::span<const layers::Entry> table : all_tables()) {
    for (const layers::Entry& entry : table) names.push_back(entry.name);
  }
  return names;
}

Layer make_layer(const jobspec::ClassSpec& spec, const std::string& where) {
  for (const std::span<const layers::Entry> table : all_tables()) {
    const auto found =
        std::find_if(table.begin(), table.end(),
                     [&spec](const layers::Entry& entry) { return entry.name == spec.class_name; });
    if (found == table.end()) continue;
    try {
      return found->build(spec.init_args);
    } catch (const c10::Error& error) {
      throw std::invalid_argument(where + ": " + error.what_without_backtrace());
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(where + ": " + error.what());
    }
  }
  throw std::invalid_argument(fmt::format("{}: unknown layer '{}'", where, spec.class_name));
}

}  // namespace lctl
