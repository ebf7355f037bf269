// One metric's value: a float32 or float64 number that stays on its device until somebody reads it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lctl {

// On the CPU a value is a plain number (no tensor, no allocation); on other devices a one-element
// tensor, so that logging never waits for the device. Arithmetic is that of torch's 0-dim tensors:
// float32, or float64 when one operand is. Thread rule: caller locks.
class MetricValue {
 public:
  MetricValue() = default;
  // `wide`: a float64; else `number` is rounded to float32.
  MetricValue(double number, bool wide)
      : number_(wide ? number : static_cast<float>(number)), wide_(wide) {}
  // A copy of a one-element tensor; converted to float32 unless it is float64.
  explicit MetricValue(const at::Tensor& value);

  bool is_wide() const { return wide_; }
  bool on_host() const { return !tensor_.defined(); }

  // Waits for the device when the value is on one.
  double number() const;
  // A 0-dim tensor of its dtype.
  at::Tensor tensor() const;

  // this + value * factor, this + value, min, max: as torch does it on 0-dim tensors.
  void add_scaled(const MetricValue& value, std::int64_t factor);
  void add(const MetricValue& value);
  void keep_min(const MetricValue& value);
  void keep_max(const MetricValue& value);
  MetricValue divided_by(std::int64_t count) const;

 private:
  double number_ = 0;
  bool wide_ = false;
  at::Tensor tensor_;  // undefined: on the host
};

// A Python dict of metrics: unique names in the order of their first insertion. Small (tens of
// entries), so lookups are linear. Thread rule: caller locks.
class MetricDict {
 public:
  using Entry = std::pair<std::string, MetricValue>;

  void set(std::string_view name, const MetricValue& value);
  const MetricValue* find(std::string_view name) const;
  void update(const MetricDict& other);
  void clear() { entries_.clear(); }
  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace lctl
