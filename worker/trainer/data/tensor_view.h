// Views of a tensor's memory without a trip through LibTorch's dispatcher and autograd, which takes
// longer than a small sample.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorImpl.h>

#include <cstdint>
#include <utility>

namespace lctl {

// as_strided() of a CPU tensor that nobody wants gradients of. Any thread.
inline at::Tensor view_of(const at::Tensor& whole, at::IntArrayRef sizes, at::IntArrayRef strides,
                          std::int64_t offset = 0) {
  at::Tensor view = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(whole.storage()), c10::DispatchKeySet(c10::DispatchKey::CPU), whole.dtype());
  view.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return view;
}

}  // namespace lctl
