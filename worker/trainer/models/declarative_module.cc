#include "worker/trainer/models/declarative_module.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <span>
#include <stdexcept>

#include "worker/trainer/models/plain_value.h"

namespace lctl {
namespace {

constexpr const char* kInitArgs = "model.init_args";

// The layers of one argument. `specs` are the children of the model that stand there.
std::vector<Layer> build_layers(std::span<const jobspec::ClassSpec> specs, const char* argument) {
  if (specs.empty()) {
    throw std::invalid_argument(
        fmt::format("{}.{}: at least one layer is needed", kInitArgs, argument));
  }
  std::vector<Layer> layers;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    layers.push_back(make_layer(
        specs[i], fmt::format("{}.{}.{}.{}", kInitArgs, argument, i, specs[i].class_name)));
  }
  return layers;
}

// The arguments as the user gave them, None where not given: save_hyperparameters() in Python. The
// last two are lctl's own and only there when given.
checkpoint::Dict hyper_parameters(const jobspec::Value& given) {
  checkpoint::Dict hparams;
  for (const char* name : {"layers", "loss", "metrics", "log"}) {
    const jobspec::Value* value = given.find(name);
    hparams.set(name, value == nullptr ? checkpoint::Value() : plain_value(*value));
  }
  for (const char* name : {"backbone", "example_input_shape"}) {
    if (const jobspec::Value* value = given.find(name)) hparams.set(name, plain_value(*value));
  }
  return hparams;
}

// Zeros, so that no generator is asked: of the kind that the first layer takes.
at::Tensor example_input(const std::vector<std::int64_t>& shape, const std::string& first_layer) {
  return at::zeros(shape, at::TensorOptions(first_layer == "Embedding" ? at::kLong : at::kFloat));
}

Reduction reduction(const std::string& where, const std::string& name) {
  if (name == "mean" || name == "avg") return Reduction::kMean;
  if (name == "min") return Reduction::kMin;
  if (name == "max") return Reduction::kMax;
  if (name == "sum") return Reduction::kSum;
  throw std::invalid_argument(fmt::format(
      "{}: Only `self.log(..., reduce_fx={{min,max,mean,sum}})` are supported. Found: {}", where,
      name));
}

// Writes one flag of `log` over the defaults; null leaves self.log's own default.
void apply_flag(LogOptions& options, const std::string& where, std::string_view flag,
                const jobspec::Value& value) {
  if (value.is_null()) return;
  const auto expect = [&](bool holds, const char* kind) {
    if (!holds) {
      throw std::invalid_argument(fmt::format("{}.{}: expected {}, got {} `{}`", where, flag, kind,
                                              value.kind_name(), value.preview()));
    }
  };
  if (flag == "reduce_fx") {
    expect(value.is_string(), "str");
    options.reduce_fx = reduction(where, value.as_string());
    return;
  }
  const bool known = flag == "on_step" || flag == "on_epoch" || flag == "prog_bar" ||
                     flag == "logger" || flag == "sync_dist";
  if (!known) {
    throw std::invalid_argument(
        fmt::format("{}: unknown option '{}' (known: on_step, on_epoch, prog_bar, logger, "
                    "reduce_fx, sync_dist)",
                    where, flag));
  }
  expect(value.is_bool(), "bool");
  if (flag == "on_step") options.on_step = value.as_bool();
  if (flag == "on_epoch") options.on_epoch = value.as_bool();
  if (flag == "prog_bar") options.prog_bar = value.as_bool();
  if (flag == "logger") options.logger = value.as_bool();
  if (flag == "sync_dist") options.sync_dist = value.as_bool();
}

LogOptions log_options(const jobspec::Value& flags, const std::string& metric, bool sync_dist) {
  LogOptions options;
  options.sync_dist = sync_dist;
  const jobspec::Value* given = flags.find(metric);
  if (given == nullptr || given->is_null()) return options;
  const std::string where = fmt::format("{}.log.{}", kInitArgs, metric);
  if (!given->is_map()) {
    throw std::invalid_argument(fmt::format("{}: expected a map of flags of self.log, got {} `{}`",
                                            where, given->kind_name(), given->preview()));
  }
  for (const auto& entry : given->map()) apply_flag(options, where, entry.key, entry.value);
  return options;
}

}  // namespace

DeclarativeModule::DeclarativeModule(const jobspec::ClassSpec& spec, OptimizerFactory optimizers)
    : LightningModule(spec.class_name), optimizers_(std::move(optimizers)) {
  const std::string& loss = spec.init_args.get_string("loss");
  loss_ = find_loss(loss);
  const jobspec::Value& metrics = spec.init_args.get("metrics");
  if (metrics.is_list()) {
    for (const jobspec::Value& metric : metrics.list()) {
      metric_names_.push_back(metric.as_string());
      metrics_.push_back(find_metric(metric.as_string(), loss));
    }
  }
  train_values_ = logged(spec, "train", false);
  val_values_ = logged(spec, "val", true);
  test_values_ = logged(spec, "test", true);
  save_hyperparameters(hyper_parameters(spec.init_args.given()));
  // The children stand in the order of the key table: `layers`, then `backbone`.
  const std::span<const jobspec::ClassSpec> children = spec.children;
  const jobspec::Value& backbone = spec.init_args.get("backbone");
  const std::size_t of_backbone = backbone.is_list() ? backbone.list().size() : 0;
  const std::size_t of_net = children.size() - of_backbone;
  if (of_backbone > 0) {
    backbone_ = register_module(
        "backbone",
        std::make_shared<Net>(build_layers(children.subspan(of_net), "backbone"), "backbone"));
  }
  net_ = register_module(
      "net", std::make_shared<Net>(build_layers(children.first(of_net), "layers"), "net"));
  if (spec.init_args.has("example_input_shape")) {
    const jobspec::ClassSpec& first = children[of_backbone > 0 ? of_net : 0];
    example_input_array =
        example_input(spec.init_args.get_ints("example_input_shape"), first.class_name);
  }
  remember_overrides(*this);
}

std::vector<DeclarativeModule::Logged> DeclarativeModule::logged(const jobspec::ClassSpec& spec,
                                                                 const std::string& prefix,
                                                                 bool sync_dist) const {
  const jobspec::Value& flags = spec.init_args.get("log");
  std::vector<Logged> values;
  const auto add = [&](const std::string& name) {
    const std::string metric = prefix + "/" + name;
    values.push_back({metric, log_options(flags, metric, sync_dist)});
  };
  add("loss");
  for (const std::string& name : metric_names_) add(name);
  return values;
}

at::Tensor DeclarativeModule::step(const Batch& batch, const std::vector<Logged>& values) {
  const at::Tensor& target = batch[std::size_t{1}].tensor();
  const at::Tensor output = forward(batch[std::size_t{0}].tensor());
  const at::Tensor loss = loss_(output, target);
  const at::Tensor detached = output.detach();
  std::vector<at::Tensor> results;
  results.reserve(metrics_.size());
  for (const MetricFunction metric : metrics_) results.push_back(metric(detached, target));
  log(values[0].name, loss, values[0].options);
  for (std::size_t i = 0; i < results.size(); ++i)
    log(values[i + 1].name, results[i], values[i + 1].options);
  return loss;
}

StepOutput DeclarativeModule::training_step(const Batch& batch, std::int64_t /*batch_idx*/) {
  return step(batch, train_values_);
}

StepOutput DeclarativeModule::validation_step(const Batch& batch, std::int64_t /*batch_idx*/,
                                              std::int64_t /*dataloader_idx*/) {
  return step(batch, val_values_);
}

StepOutput DeclarativeModule::test_step(const Batch& batch, std::int64_t /*batch_idx*/,
                                        std::int64_t /*dataloader_idx*/) {
  return step(batch, test_values_);
}

Batch DeclarativeModule::predict_step(const Batch& batch, std::int64_t /*batch_idx*/,
                                      std::int64_t /*dataloader_idx*/) {
  return forward(batch[std::size_t{0}].tensor());
}

OptimizersConfig DeclarativeModule::configure_optimizers() {
  if (!optimizers_) return {};
  std::vector<at::Tensor> parameters;
  for (const NamedTensor& parameter : parameter_list()) {
    if (!backbone_ || parameter.tensor.requires_grad()) parameters.push_back(parameter.tensor);
  }
  return optimizers_(std::move(parameters));
}

}  // namespace lctl
