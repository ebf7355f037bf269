// LibTorch is built with NDEBUG, without which at::RecordFunction has another layout here than
// there.
#ifndef NDEBUG
#define NDEBUG
#endif

#include "worker/trainer/callbacks/operator_trace.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>

#include <array>
#include <memory>
#include <string_view>
#include <utility>

namespace lctl {
namespace {

using Values = std::vector<c10::IValue>;

thread_local OperatorTrace* current = nullptr;

void collect(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) tensors.push_back(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& item : value.toListRef()) collect(item, tensors);
  } else if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) collect(item, tensors);
  }
}

// An operator that is written in terms of others: torch's counter counts those instead.
bool is_composite(const at::RecordFunction& function) {
  const auto name = function.operator_name();
  if (!name) return true;  // a range that somebody named, not an operator
  const auto handle = c10::Dispatcher::singleton().findOp(*name);
  return handle && handle->hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd);
}

bool are_tensors(const Values& inputs, std::initializer_list<std::size_t> which) {
  for (const std::size_t i : which) {
    if (i >= inputs.size() || !inputs[i].isTensor() || !inputs[i].toTensor().defined())
      return false;
  }
  return true;
}

std::int64_t matrix_product(const at::Tensor& a, const at::Tensor& b) {
  return a.size(0) * b.size(1) * 2 * a.size(1);
}

std::int64_t batched_product(const at::Tensor& a, const at::Tensor& b) {
  return a.size(0) * a.size(1) * b.size(2) * 2 * a.size(2);
}

// Of the points of the output, or, transposed, of the input: each meets the whole filter.
std::int64_t convolution(const Values& inputs, const at::Tensor& output) {
  const at::Tensor& x = inputs[0].toTensor();
  const bool transposed = inputs[6].toBool();
  const at::Tensor& points = transposed ? x : output;
  std::int64_t flops = x.size(0) * 2 * inputs[1].toTensor().numel();
  for (std::int64_t dim = 2; dim < points.dim(); ++dim) flops *= points.size(dim);
  return flops;
}

std::int64_t attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  const std::int64_t scores = query.size(0) * query.size(1) * query.size(2) * key.size(2) * 2;
  return scores * (query.size(3) + value.size(3));
}

bool is_convolution(std::string_view name) {
  return name == "aten::convolution" || name == "aten::_convolution" ||
         name == "aten::convolution_overrideable";
}

std::int64_t flops_of(std::string_view name, const Values& inputs, const Values& outputs) {
  const auto tensor = [&](std::size_t i) -> const at::Tensor& { return inputs[i].toTensor(); };
  if (name == "aten::mm" && are_tensors(inputs, {0, 1}))
    return matrix_product(tensor(0), tensor(1));
  if (name == "aten::addmm" && are_tensors(inputs, {1, 2}))
    return matrix_product(tensor(1), tensor(2));
  if (name == "aten::bmm" && are_tensors(inputs, {0, 1}))
    return batched_product(tensor(0), tensor(1));
  if (name == "aten::baddbmm" && are_tensors(inputs, {1, 2}))
    return batched_product(tensor(1), tensor(2));
  if (is_convolution(name) && are_tensors(inputs, {0, 1}) && inputs.size() > 6 &&
      inputs[6].isBool() && outputs.size() == 1 && outputs[0].isTensor())
    return convolution(inputs, outputs[0].toTensor());
  const bool fused_attention = name == "aten::_scaled_dot_product_efficient_attention" ||
                               name == "aten::_scaled_dot_product_flash_attention" ||
                               name == "aten::_scaled_dot_product_cudnn_attention";
  if (fused_attention && are_tensors(inputs, {0, 1, 2}))
    return attention(tensor(0), tensor(1), tensor(2));
  return 0;
}

}  // namespace

struct OperatorTrace::Context final : at::ObserverContext {
  std::vector<c10::IValue> inputs;  // the record's own are gone when it ends
  bool opaque = false;
  bool visible = false;
  bool outermost = false;
  std::int64_t flops_before = 0;
};

OperatorTrace::OperatorTrace() {
  current = this;
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&on_start, &on_end)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}));
}

OperatorTrace::~OperatorTrace() {
  at::removeCallback(handle_);
  current = nullptr;
}

void OperatorTrace::only_count(std::function<void(std::int64_t flops)> counted) {
  counted_ = std::move(counted);
  operators_.clear();
}

std::unique_ptr<at::ObserverContext> OperatorTrace::on_start(const at::RecordFunction& function) {
  if (current == nullptr) return nullptr;
  auto context = std::make_unique<Context>();
  current->started(function, *context);
  return context;
}

void OperatorTrace::on_end(const at::RecordFunction& function, at::ObserverContext* context) {
  if (current != nullptr && context != nullptr)
    current->ended(function, static_cast<const Context&>(*context));
}

void OperatorTrace::started(const at::RecordFunction& function, Context& context) {
  const auto inputs = function.inputs();
  context.inputs.assign(inputs.begin(), inputs.end());
  context.opaque = !is_composite(function);
  context.visible = opaque_ == 0;
  context.outermost = depth_ == 0;
  context.flops_before = total_flops_;
  ++depth_;
  opaque_ += context.opaque ? 1 : 0;
}

void OperatorTrace::ended(const at::RecordFunction& function, const Context& context) {
  --depth_;
  opaque_ -= context.opaque ? 1 : 0;
  const std::int64_t flops =
      context.visible ? flops_of(function.name(), context.inputs, function.outputs()) : 0;
  total_flops_ += flops;
  if (counted_) {
    if (flops > 0) counted_(flops);
    return;
  }
  if (!context.outermost) return;
  TracedOperator traced;
  traced.name = function.name();
  for (const c10::IValue& input : context.inputs) collect(input, traced.inputs);
  for (const c10::IValue& output : function.outputs()) collect(output, traced.outputs);
  traced.flops = total_flops_ - context.flops_before;
  operators_.push_back(std::move(traced));
}

}  // namespace lctl
