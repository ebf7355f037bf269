#include "worker/trainer/connectors/metric_value.h"

#include <ATen/ops/scalar_tensor.h>

#include <cmath>

namespace lctl {
namespace {

// The number of a one-element CPU tensor, without going through the dispatcher.
double read(const at::Tensor& value) {
  switch (value.scalar_type()) {
    case at::kFloat:
      return *value.const_data_ptr<float>();
    case at::kDouble:
      return *value.const_data_ptr<double>();
    default:
      return value.item().toDouble();
  }
}

}  // namespace

MetricValue::MetricValue(const at::Tensor& value) : wide_(value.scalar_type() == at::kDouble) {
  if (value.device().is_cpu()) {
    number_ = wide_ ? read(value) : static_cast<float>(read(value));
    return;
  }
  tensor_ = value.detach().clone().reshape({});
  if (!wide_) tensor_ = tensor_.to(at::kFloat);
}

double MetricValue::number() const { return on_host() ? number_ : read(tensor_.cpu()); }

at::Tensor MetricValue::tensor() const {
  if (!on_host()) return tensor_;
  return at::scalar_tensor(number_, at::TensorOptions(wide_ ? at::kDouble : at::kFloat));
}

void MetricValue::add_scaled(const MetricValue& value, std::int64_t factor) {
  if (!on_host() || !value.on_host()) {
    const at::Tensor scaled = value.tensor().mul(factor);
    tensor_ = on_host() ? scaled.add(number_) : tensor_.add(scaled);
    wide_ = tensor_.scalar_type() == at::kDouble;
    return;
  }
  double scaled = value.number_ * static_cast<double>(factor);
  if (!value.wide_)
    scaled = static_cast<float>(static_cast<float>(value.number_) * static_cast<float>(factor));
  *this = MetricValue(number_ + scaled, wide_ || value.wide_);
}

void MetricValue::add(const MetricValue& value) {
  if (!on_host() || !value.on_host()) {
    tensor_ = on_host() ? value.tensor().add(number_) : tensor_.add(value.tensor());
    wide_ = tensor_.scalar_type() == at::kDouble;
    return;
  }
  *this = MetricValue(number_ + value.number_, wide_ || value.wide_);
}

void MetricValue::keep_min(const MetricValue& value) {
  if (!on_host() || !value.on_host()) {
    tensor_ =
        on_host() ? value.tensor().clamp_max(number_) : at::Tensor(tensor_.minimum(value.tensor()));
    wide_ = tensor_.scalar_type() == at::kDouble;
    return;
  }
  const bool take = std::isnan(value.number_) || value.number_ < number_;
  *this = MetricValue(take ? value.number_ : number_, wide_ || value.wide_);
}

void MetricValue::keep_max(const MetricValue& value) {
  if (!on_host() || !value.on_host()) {
    tensor_ =
        on_host() ? value.tensor().clamp_min(number_) : at::Tensor(tensor_.maximum(value.tensor()));
    wide_ = tensor_.scalar_type() == at::kDouble;
    return;
  }
  const bool take = std::isnan(value.number_) || value.number_ > number_;
  *this = MetricValue(take ? value.number_ : number_, wide_ || value.wide_);
}

MetricValue MetricValue::divided_by(std::int64_t count) const {
  if (!on_host()) return MetricValue(tensor_.div(count));
  if (wide_) return MetricValue(number_ / static_cast<double>(count), true);
  return MetricValue(static_cast<float>(number_) / static_cast<float>(count), false);
}

void MetricDict::set(std::string_view name, const MetricValue& value) {
  for (Entry& entry : entries_) {
    if (entry.first == name) {
      entry.second = value;
      return;
    }
  }
  entries_.emplace_back(name, value);
}

const MetricValue* MetricDict::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

void MetricDict::update(const MetricDict& other) {
  for (const Entry& entry : other.entries_) set(entry.first, entry.second);
}

}  // namespace lctl
