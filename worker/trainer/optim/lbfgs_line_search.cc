#include "worker/trainer/optim/lbfgs_line_search.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace lctl {
namespace {

constexpr double kEnoughDecrease = 1e-4;  // c1 of the Wolfe conditions
constexpr double kFlatEnough = 0.9;       // c2

// A length that was tried.
struct Trial {
  Number length;
  LinePoint point;
  Number slope;
};

// The minimum of the cubic through two trials, inside the bounds (else between the two).
Number cubic_minimum(const Trial& a, const Trial& b,
                     const std::optional<std::pair<Number, Number>>& bounds = std::nullopt) {
  const bool rising = a.length <= b.length;
  const Number low = bounds ? bounds->first : rising ? a.length : b.length;
  const Number high = bounds ? bounds->second : rising ? b.length : a.length;
  const Number rise = Number(3 * (a.point.loss - b.point.loss)) / (a.length - b.length);
  const Number d1 = a.slope + b.slope - rise;
  const Number square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0.0)) return (low + high) / 2.0;
  const Number d2 = square.sqrt();
  const Number place =
      rising ? b.length - (b.length - a.length) *
                              ((b.slope + d2 - d1) / (b.slope - a.slope + Number(2.0) * d2))
             : a.length - (a.length - b.length) *
                              ((a.slope + d2 - d1) / (a.slope - b.slope + Number(2.0) * d2));
  return smaller(larger(place, low), high);
}

// One search, with the arguments of strong_wolfe().
class Search {
 public:
  Search(const std::function<LinePoint(const Number&)>& evaluate, const at::Tensor& direction,
         const LinePoint& start, const Number& slope, std::int64_t max_evaluations)
      : evaluate_(evaluate),
        direction_(direction),
        start_(start),
        slope_(slope),
        left_(max_evaluations) {}

  WolfeStep run(const Number& length, double tolerance_change) {
    const std::vector<Trial> bracket = find_bracket(length);
    if (bracket.size() == 1) return step_to(bracket.front());
    return step_to(zoom({bracket[0], bracket[1]}, tolerance_change));
  }

 private:
  WolfeStep step_to(const Trial& trial) const { return {trial.point, trial.length, evaluations_}; }

  Trial attempt(const Number& length) {
    LinePoint point = evaluate_(length);
    ++evaluations_;
    Number slope = point.gradient.dot(direction_);
    return {length, std::move(point), std::move(slope)};
  }

  bool decreases_too_little(const Trial& trial) const {
    const Number line = Number(start_.loss) + Number(kEnoughDecrease) * trial.length * slope_;
    return Number(trial.point.loss) > line;
  }
  bool is_flat(const Trial& trial) const {
    return trial.slope.abs() <= Number(-kFlatEnough) * slope_;
  }

  // One trial that fulfils the conditions, or two with such a length between them.
  std::vector<Trial> find_bracket(const Number& length) {
    Trial last{0.0, start_, slope_};
    Trial now = attempt(length);
    for (; taken_ < left_; ++taken_) {
      if (decreases_too_little(now) || (taken_ > 1 && now.point.loss >= last.point.loss)) {
        return {last, now};
      }
      if (is_flat(now)) return {now};
      if (now.slope >= 0.0) return {last, now};
      const Number least = now.length + Number(0.01) * (now.length - last.length);
      const Number most = now.length * 10.0;
      const Number next = cubic_minimum(last, now, std::pair(least, most));
      last = std::move(now);
      now = attempt(next);
    }
    return {{0.0, start_, slope_}, now};
  }

  Trial zoom(std::array<Trial, 2> bracket, double tolerance_change) {
    const Number widest = direction_.abs().max();
    bool stuck = false;
    std::size_t low = bracket[0].point.loss <= bracket[1].point.loss ? 0 : 1;
    while (taken_ < left_) {
      if ((bracket[1].length - bracket[0].length).abs() * widest < tolerance_change) break;
      const Number next = inside(bracket, cubic_minimum(bracket[0], bracket[1]), stuck);
      Trial now = attempt(next);
      ++taken_;
      if (decreases_too_little(now) || now.point.loss >= bracket[low].point.loss) {
        bracket[1 - low] = std::move(now);
        low = bracket[0].point.loss <= bracket[1].point.loss ? 0 : 1;
        continue;
      }
      const bool done = is_flat(now);
      if (!done && now.slope * (bracket[1 - low].length - bracket[low].length) >= 0.0) {
        bracket[1 - low] = bracket[low];
      }
      bracket[low] = std::move(now);
      if (done) break;
    }
    return bracket[low];
  }

  // The length to try next: not twice in a row close to an end of the bracket.
  static Number inside(const std::array<Trial, 2>& bracket, const Number& length, bool& stuck) {
    const Number high = larger(bracket[0].length, bracket[1].length);
    const Number low = smaller(bracket[0].length, bracket[1].length);
    const Number margin = Number(0.1) * (high - low);
    if (!(smaller(high - length, length - low) < margin)) {
      stuck = false;
      return length;
    }
    if (!stuck && !(length >= high) && !(length <= low)) {
      stuck = true;
      return length;
    }
    stuck = false;
    return (length - high).abs() < (length - low).abs() ? high - margin : low + margin;
  }

  const std::function<LinePoint(const Number&)>& evaluate_;
  const at::Tensor& direction_;
  const LinePoint& start_;
  const Number& slope_;
  const std::int64_t left_;
  std::int64_t taken_ = 0;
  std::int64_t evaluations_ = 0;
};

}  // namespace

WolfeStep strong_wolfe(const std::function<LinePoint(const Number&)>& evaluate,
                       const Number& length, const at::Tensor& direction, const LinePoint& start,
                       const Number& slope, double tolerance_change, std::int64_t max_evaluations) {
  return Search(evaluate, direction, start, slope, max_evaluations).run(length, tolerance_change);
}

}  // namespace lctl
