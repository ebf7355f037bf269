// The operators that a piece of code runs, and what they cost.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace at {
struct ObserverContext;
struct RecordFunction;
}  // namespace at

namespace lctl {

// One operator that user code called itself; what it calls inside is part of it.
struct TracedOperator {
  std::string name;                 // "aten::linear", without its overload
  std::vector<at::Tensor> inputs;   // all tensors among its arguments, in order
  std::vector<at::Tensor> outputs;  // kept alive, so that a tensor's identity is its own
  std::int64_t flops = 0;
};

// Sees each operator that the current thread dispatches during its life, and counts as
// torch.utils.flop_counter does: a multiply-add of mm, addmm, bmm, baddbmm, convolution and the
// fused attention kernels is two operations, all else is free. Thread rule: one strand only; one at
// a time on a thread.
class OperatorTrace {
 public:
  OperatorTrace();
  ~OperatorTrace();
  OperatorTrace(const OperatorTrace&) = delete;
  OperatorTrace& operator=(const OperatorTrace&) = delete;

  const std::vector<TracedOperator>& operators() const { return operators_; }
  std::int64_t total_flops() const { return total_flops_; }

  // From now on nothing is kept, and `counted` is told of each operator that costs something.
  void only_count(std::function<void(std::int64_t flops)> counted);

 private:
  struct Context;
  static std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function);
  static void on_end(const at::RecordFunction& function, at::ObserverContext* context);
  void started(const at::RecordFunction& function, Context& context);
  void ended(const at::RecordFunction& function, const Context& context);

  std::uint64_t handle_ = 0;  // at::CallbackHandle
  std::vector<TracedOperator> operators_;
  std::function<void(std::int64_t)> counted_;
  std::int64_t total_flops_ = 0;
  int depth_ = 0;
  int opaque_ = 0;  // operators under way that torch's counter does not look into
};

}  // namespace lctl
