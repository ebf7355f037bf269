// A number as it is in torch's Python code: a float there is a double here, and what comes out of a
// tensor stays a tensor of one element, with that tensor's rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

// Arithmetic and comparisons are Python's: two floats in double; with a tensor, in the tensor's
// type, by torch's kernels. Immutable value.
class Number {
 public:
  Number(double value) : value_(value) {}
  // A tensor of one element.
  Number(at::Tensor value) : tensor_(std::move(value)) {}
  // A float or a tensor of a checkpoint.
  static Number loaded(const checkpoint::Value& saved);

  bool is_tensor() const { return tensor_.defined(); }
  double to_double() const { return is_tensor() ? tensor_.item<double>() : value_; }
  checkpoint::Value saved() const;

  friend Number operator+(const Number& a, const Number& b);
  friend Number operator-(const Number& a, const Number& b);
  friend Number operator*(const Number& a, const Number& b);
  friend Number operator/(const Number& a, const Number& b);
  Number operator-() const;
  Number abs() const;
  Number sqrt() const;  // of a tensor

  friend bool operator<(const Number& a, const Number& b);
  friend bool operator<=(const Number& a, const Number& b);
  friend bool operator>(const Number& a, const Number& b) { return b < a; }
  friend bool operator>=(const Number& a, const Number& b) { return b <= a; }

  // tensor * this, element by element.
  at::Tensor times(const at::Tensor& tensor) const;

 private:
  double value_ = 0;
  at::Tensor tensor_;  // defined: it is the value
};

// Python's min and max: the first where they are equal, or where one is no number.
inline const Number& smaller(const Number& a, const Number& b) { return b < a ? b : a; }
inline const Number& larger(const Number& a, const Number& b) { return a < b ? b : a; }

}  // namespace lctl
