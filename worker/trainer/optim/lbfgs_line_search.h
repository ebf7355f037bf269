// The line search of LBFGS: a step that fulfils the strong Wolfe conditions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "worker/trainer/optim/number.h"

namespace lctl {

// Loss and gradient at one place of the line.
struct LinePoint {
  double loss;
  at::Tensor gradient;
};

struct WolfeStep {
  LinePoint point;
  Number length;
  std::int64_t evaluations;
};

// Looks along `direction` for a step, `length` first. `evaluate` gives the point of a length;
// `slope` is start.gradient · direction. With at most `max_evaluations` after the first. The same
// values as torch's _strong_wolfe to the last bit. Source: Nocedal & Wright, "Numerical
// Optimization", algorithms 3.5 and 3.6; interpolation as in Mark Schmidt's minFunc.
WolfeStep strong_wolfe(const std::function<LinePoint(const Number& length)>& evaluate,
                       const Number& length, const at::Tensor& direction, const LinePoint& start,
                       const Number& slope, double tolerance_change, std::int64_t max_evaluations);

}  // namespace lctl
