#include "worker/trainer/optim/number.h"

#include <ATen/ops/rsub.h>

#include <cmath>

namespace lctl {

Number Number::loaded(const checkpoint::Value& saved) {
  return saved.is_tensor() ? Number(saved.as_tensor().clone()) : Number(saved.as_double());
}

checkpoint::Value Number::saved() const {
  return is_tensor() ? checkpoint::Value(tensor_) : checkpoint::Value(value_);
}

Number operator+(const Number& a, const Number& b) {
  if (a.is_tensor()) return b.is_tensor() ? a.tensor_.add(b.tensor_) : a.tensor_.add(b.value_);
  return b.is_tensor() ? Number(b.tensor_.add(a.value_)) : Number(a.value_ + b.value_);
}

Number operator-(const Number& a, const Number& b) {
  if (a.is_tensor()) return b.is_tensor() ? a.tensor_.sub(b.tensor_) : a.tensor_.sub(b.value_);
  return b.is_tensor() ? Number(at::rsub(b.tensor_, a.value_)) : Number(a.value_ - b.value_);
}

Number operator*(const Number& a, const Number& b) {
  if (a.is_tensor()) return b.is_tensor() ? a.tensor_.mul(b.tensor_) : a.tensor_.mul(b.value_);
  return b.is_tensor() ? Number(b.tensor_.mul(a.value_)) : Number(a.value_ * b.value_);
}

Number operator/(const Number& a, const Number& b) {
  if (a.is_tensor()) return b.is_tensor() ? a.tensor_.div(b.tensor_) : a.tensor_.div(b.value_);
  // Tensor.__rtruediv__ multiplies by the reciprocal.
  return b.is_tensor() ? Number(b.tensor_.reciprocal().mul(a.value_)) : Number(a.value_ / b.value_);
}

Number Number::operator-() const { return is_tensor() ? Number(tensor_.neg()) : Number(-value_); }

Number Number::abs() const {
  return is_tensor() ? Number(tensor_.abs()) : Number(std::abs(value_));
}

Number Number::sqrt() const {
  return is_tensor() ? Number(tensor_.sqrt()) : Number(std::sqrt(value_));
}

bool operator<(const Number& a, const Number& b) {
  if (a.is_tensor()) {
    return (b.is_tensor() ? a.tensor_.lt(b.tensor_) : a.tensor_.lt(b.value_)).item<bool>();
  }
  return b.is_tensor() ? b.tensor_.gt(a.value_).item<bool>() : a.value_ < b.value_;
}

bool operator<=(const Number& a, const Number& b) {
  if (a.is_tensor()) {
    return (b.is_tensor() ? a.tensor_.le(b.tensor_) : a.tensor_.le(b.value_)).item<bool>();
  }
  return b.is_tensor() ? b.tensor_.ge(a.value_).item<bool>() : a.value_ <= b.value_;
}

at::Tensor Number::times(const at::Tensor& tensor) const {
  return is_tensor() ? tensor.mul(tensor_) : tensor.mul(value_);
}

}  // namespace lctl
