#include "worker/trainer/callbacks/model_summary.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/layer_sizes.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/trainer/example_input.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

// ---- counting

// Shared ones count once.
std::int64_t numel(const std::vector<at::Tensor>& parameters) {
  std::int64_t count = 0;
  std::set<const c10::TensorImpl*> seen;
  for (const at::Tensor& parameter : parameters) {
    if (parameter.defined() && seen.insert(parameter.unsafeGetTensorImpl()).second)
      count += parameter.numel();
  }
  return count;
}

// "1,234"
std::string with_commas(std::string digits) {
  const std::size_t point = std::min(digits.find('.'), digits.size());
  for (std::size_t i = point; i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

// Bits of a parameter, as Lightning takes them from the precision.
double parameter_bits(Trainer* trainer) {
  if (trainer == nullptr) return 32;
  const std::string precision = trainer->precision().name();
  if (precision == "64-true") return 64;
  if (precision == "32-true") return 32;
  if (precision == "16-true" || precision == "bf16-true") return 16;
  console::warn(fmt::format(
      "Precision {} is not supported by the model summary.  Estimated model size in MB will not be "
      "accurate. Using 32 bits instead.",
      precision));
  return 32;
}

// ---- the example's forward pass

// Puts the modes back that a module had before.
class ModesKept {
 public:
  explicit ModesKept(TrainableModule& module) : module_(module), flags_(module.training_flags()) {}
  ~ModesKept() { module_.set_training_flags(flags_); }
  ModesKept(const ModesKept&) = delete;
  ModesKept& operator=(const ModesKept&) = delete;

 private:
  TrainableModule& module_;
  const std::vector<bool> flags_;
};

// None without an example. Draws from the generators only where the model does in evaluation mode.
std::optional<ForwardSizes> forward_example(TrainableModule& module, bool inside_layers,
                                            Trainer* trainer) {
  if (module.example_input_array.is_none()) return std::nullopt;
  const Batch input =
      trainer == nullptr ? module.example_input_array : transferred_example(*trainer, module);
  const ModesKept modes(module);
  module.set_training(false);
  const at::NoGradGuard no_grad;
  std::optional<ForwardScope> precision;
  if (trainer != nullptr) precision.emplace(trainer->precision());
  const auto forward = [&] { module.call(input); };
  if (auto* tree = dynamic_cast<torch::nn::Module*>(&module))
    return observe_forward(*tree, inside_layers, forward);
  forward();
  return ForwardSizes();
}

// ---- the table

using Column = std::vector<std::string>;  // its title first

// Of one module.
struct Row {
  const SubmoduleDescription* module;
  LayerSizes sizes;
};

std::vector<Row> rows_of(const std::vector<SubmoduleDescription>& modules, std::int64_t max_depth,
                         const std::optional<ForwardSizes>& sizes) {
  std::vector<Row> rows;
  for (const SubmoduleDescription& module : modules) {
    const auto depth = std::count(module.name.begin(), module.name.end(), '.') + 1;
    if (module.name.empty() || (max_depth >= 0 && depth > max_depth)) continue;
    Row row{&module, {}};
    row.sizes.flops = sizes ? std::nullopt : std::optional<std::int64_t>(0);
    if (sizes) {
      const auto found = sizes->layers.find(module.name);
      if (found != sizes->layers.end()) row.sizes = found->second;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Column> columns_of(const std::vector<Row>& rows, std::int64_t total_parameters,
                               bool with_sizes) {
  std::vector<Column> columns = {{" "}, {"Name"}, {"Type"}, {"Params"}, {"Mode"}, {"FLOPs"}};
  if (with_sizes) columns.insert(columns.end(), {{"In sizes"}, {"Out sizes"}});
  std::int64_t listed = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SubmoduleDescription& module = *rows[i].module;
    const LayerSizes& sizes = rows[i].sizes;
    const std::int64_t parameters = numel(module.parameters);
    listed += parameters;
    columns[0].push_back(std::to_string(i));
    columns[1].push_back(module.name);
    columns[2].push_back(module.type);
    columns[3].push_back(human_readable_count(parameters));
    columns[4].emplace_back(module.training ? "train" : "eval");
    columns[5].push_back(sizes.flops ? human_readable_count(*sizes.flops) : "?");
    if (!with_sizes) continue;
    columns[6].push_back(sizes.in);
    columns[7].push_back(sizes.out);
  }
  if (total_parameters > listed) {
    const std::array<std::string, 4> others = {" ", "other params", "n/a",
                                               human_readable_count(total_parameters - listed)};
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns[i].push_back(i < others.size() ? others[i] : "n/a");
  }
  return columns;
}

std::string render(const std::vector<Column>& columns) {
  std::vector<std::size_t> widths;
  std::size_t total = 3;
  for (const Column& column : columns) {
    std::size_t width = 0;
    for (const std::string& cell : column) width = std::max(width, cell.size());
    widths.push_back(width);
    total += width + 3;
  }
  const std::string rule(total, '-');
  std::string text;
  for (std::size_t row = 0; row < columns[0].size(); ++row) {
    for (std::size_t i = 0; i < columns.size(); ++i)
      text += fmt::format("{}{:<{}}", i > 0 ? " | " : "", columns[i][row], widths[i]);
    text += "\n";
    if (row == 0) text += rule + "\n";
  }
  return text + rule;
}

}  // namespace

std::string human_readable_count(std::int64_t count) {
  static constexpr std::array<char, 5> kUnits = {' ', 'K', 'M', 'B', 'T'};
  const double digits = count > 0 ? std::floor(std::log10(static_cast<double>(count))) + 1 : 1.0;
  const auto groups =
      std::min<std::size_t>(static_cast<std::size_t>(std::ceil(digits / 3)), kUnits.size());
  const std::size_t index = groups - 1;
  const double number =
      static_cast<double>(count) * std::pow(10.0, -3.0 * static_cast<double>(index));
  if (index < 1) return fmt::format("{} {}", count, kUnits[index]);
  if (number >= 100)
    return with_commas(std::to_string(static_cast<std::int64_t>(number))) + " " + kUnits[index];
  return fmt::format("{:.1f} {}", number, kUnits[index]);
}

std::string model_summary(TrainableModule& module, std::int64_t max_depth, Trainer* trainer) {
  const std::optional<ForwardSizes> sizes = forward_example(module, max_depth != 1, trainer);
  const std::vector<SubmoduleDescription> modules = module.describe_submodules();
  const std::vector<Row> rows = rows_of(modules, max_depth, sizes);
  std::int64_t total = 0;
  std::int64_t trainable = 0;
  for (const NamedTensor& parameter : module.parameter_list()) {
    total += parameter.tensor.numel();
    if (parameter.tensor.requires_grad()) trainable += parameter.tensor.numel();
  }
  std::size_t in_train_mode = 0;
  std::size_t in_eval_mode = 0;
  for (const SubmoduleDescription& item : modules) {
    if (!item.name.empty()) ++(item.training ? in_train_mode : in_eval_mode);
  }
  const double megabytes = static_cast<double>(total) * (parameter_bits(trainer) / 8.0 * 1e-6);
  const std::int64_t flops = sizes ? sizes->total_flops : 0;
  std::string text = render(columns_of(rows, total, sizes.has_value()));
  const auto line = [&text](const std::string& value, std::string_view label) {
    text += fmt::format("\n{:<10}{}", value, label);
  };
  line(human_readable_count(trainable), "Trainable params");
  line(human_readable_count(total - trainable), "Non-trainable params");
  line(human_readable_count(total), "Total params");
  line(with_commas(fmt::format("{:.3f}", megabytes)), "Total estimated model params size (MB)");
  line(std::to_string(in_train_mode), "Modules in train mode");
  line(std::to_string(in_eval_mode), "Modules in eval mode");
  line(human_readable_count(flops), "Total Flops");
  return text;
}

ModelSummary::ModelSummary(std::int64_t max_depth) : max_depth_(max_depth) {
  if (max_depth < -1)
    throw std::invalid_argument(fmt::format("`max_depth` can be -1, 0 or > 0, got {}.", max_depth));
}

void ModelSummary::on_fit_start(Trainer& trainer, TrainableModule& module) {
  if (max_depth_ == 0) return;
  // On every rank: a forward pass that draws or communicates does so on all.
  const std::string text = model_summary(module, max_depth_, &trainer);
  if (trainer.is_global_zero()) console::info("\n" + text);
}

}  // namespace lctl
