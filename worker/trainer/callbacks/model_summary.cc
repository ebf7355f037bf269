#include "worker/trainer/callbacks/model_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/core/console.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

struct Totals {
  std::int64_t all = 0;
  std::int64_t trainable = 0;
  double bytes = 0;
};

Totals count(const std::vector<at::Tensor>& parameters) {
  Totals totals;
  for (const at::Tensor& parameter : parameters) {
    totals.all += parameter.numel();
    if (parameter.requires_grad()) totals.trainable += parameter.numel();
    totals.bytes += static_cast<double>(parameter.nbytes());
  }
  return totals;
}

using Row = std::array<std::string, 5>;

std::string render(const std::vector<Row>& rows) {
  std::array<std::size_t, 5> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::size_t total = 0;
  for (const std::size_t width : widths) total += width + 3;
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < 5; ++i)
      text += fmt::format("{}{:<{}}", i ? " | " : "", rows[r][i], widths[i]);
    text += "\n";
    if (r == 0) text += std::string(total - 3, '-') + "\n";
  }
  return text + std::string(total - 3, '-') + "\n";
}

}  // namespace

ModelSummary::ModelSummary(std::int64_t max_depth) : max_depth_(max_depth) {
  if (max_depth < -1)
    throw std::invalid_argument(fmt::format("`max_depth` can be -1, 0 or > 0, got {}.", max_depth));
}

std::string human_readable_count(std::int64_t count) {
  static constexpr std::array<char, 5> kUnits = {' ', 'K', 'M', 'B', 'T'};
  if (count < 1000) return fmt::format("{}  ", count);
  double value = static_cast<double>(count);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) value /= 1000, ++unit;
  if (value >= 100) return fmt::format("{} {}", static_cast<std::int64_t>(value), kUnits[unit]);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

void ModelSummary::on_fit_start(Trainer& trainer, TrainableModule& module) {
  if (max_depth_ == 0 || !trainer.is_global_zero()) return;
  std::vector<Row> rows{{"", "Name", "Type", "Params", "Mode"}};
  const std::vector<SubmoduleDescription> modules = module.describe_submodules();
  std::size_t in_train_mode = 0;
  for (const SubmoduleDescription& item : modules) {
    if (item.name.empty()) continue;
    in_train_mode += item.training ? 1 : 0;
    const auto depth = std::count(item.name.begin(), item.name.end(), '.') + 1;
    if (max_depth_ != -1 && depth > max_depth_) continue;
    rows.push_back({std::to_string(rows.size() - 1), item.name, item.type,
                    human_readable_count(count(item.parameters).all),
                    item.training ? "train" : "eval"});
  }
  std::vector<at::Tensor> parameters;
  for (const NamedTensor& parameter : module.parameter_list())
    parameters.push_back(parameter.tensor);
  const Totals totals = count(parameters);
  std::string text = "\n" + render(rows);
  const auto line = [&text](std::string_view value, std::string_view label) {
    text += fmt::format("{:<10}{}\n", value, label);
  };
  line(human_readable_count(totals.trainable), "Trainable params");
  line(human_readable_count(totals.all - totals.trainable), "Non-trainable params");
  line(human_readable_count(totals.all), "Total params");
  line(fmt::format("{:.3f}", totals.bytes * 1e-6), "Total estimated model params size (MB)");
  line(std::to_string(in_train_mode), "Modules in train mode");
  text += fmt::format("{:<10}{}", modules.size() - 1 - in_train_mode, "Modules in eval mode");
  console::info(text);
}

}  // namespace lctl
