// Declarative models: a list of layers, a loss and metrics.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr std::string_view kLosses =
    "one of: cross_entropy, nll_loss, mse_loss, l1_loss, smooth_l1_loss, "
    "binary_cross_entropy_with_logits";
constexpr std::string_view kMetrics = "one of: accuracy, acc, mae, mse";

constexpr std::string_view kBackbone =
    "layers before `layers`, as the module's `backbone`: what BackboneFinetuning freezes";
constexpr std::string_view kExample =
    "shape of an input with its batch dimension, as [1, 64]: ModelSummary then shows sizes and "
    "FLOPs, and TensorBoardLogger can log the graph";

constexpr Argument kClassifier[] = {
    {"layers", "layers", kRequired, "",
     "in order: `ReLU` or `Linear: {in_features: 8, out_features: 4}`"},
    {"loss", "str", "cross_entropy", kLosses,
     "of torch.nn.functional, called as loss(output, target)"},
    {"metrics", "list[str]", "[]", kMetrics,
     "logged as train/NAME, val/NAME, test/NAME; acc is accuracy by a shorter name"},
    {"log", "map", "{}", "", "flags of self.log for a metric, `val/loss: {prog_bar: true}`"},
    {"backbone", "layers", "null", "", kBackbone},
    {"example_input_shape", "list[int]", "null", ">= 0", kExample},
};

constexpr Argument kRegressor[] = {
    {"layers", "layers", kRequired, "", "as for Classifier"},
    {"loss", "str", "mse_loss", kLosses, "as for Classifier"},
    {"metrics", "list[str]", "[]", kMetrics, "as for Classifier"},
    {"log", "map", "{}", "", "as for Classifier"},
    {"backbone", "layers", "null", "", "as for Classifier"},
    {"example_input_shape", "list[int]", "null", ">= 0", "as for Classifier"},
};

constexpr Class kModels[] = {
    {Kind::kModel, "Classifier", kClassifier, true,
     "Logs PREFIX/loss and its metrics, PREFIX = train, val, test."},
    {Kind::kModel, "Regressor", kRegressor, true, "The same with a regression loss."},
};

}  // namespace

std::span<const Class> model_classes() { return kModels; }

}  // namespace lctl::jobspec::keys
