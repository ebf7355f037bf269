// The CUDA accelerator: devices, streams, NCCL, pinned copies. Built with --config=cuda into
// liblctl_cuda.so.
#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstring>
#include <exception>
#include <memory>
#include <mutex>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/accelerators/cuda/plugin.h"

namespace lctl {
namespace {

// Copies go to a stream of their own; an event orders training behind them. Thread rule: one strand
// only.
class CudaCopyStream final : public CopyStream {
 public:
  explicit CudaCopyStream(c10::Device device)
      : device_(device),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}

  void begin() override {
    before_ = c10::cuda::getCurrentCUDAStream(device_.index());
    c10::cuda::setCurrentCUDAStream(stream_);
  }
  void end() override {
    copied_.record(stream_);
    if (before_) c10::cuda::setCurrentCUDAStream(*before_);
    before_.reset();
  }
  void join() override { copied_.block(c10::cuda::getCurrentCUDAStream(device_.index())); }

 private:
  c10::Device device_;
  c10::cuda::CUDAStream stream_;
  std::optional<c10::cuda::CUDAStream> before_;
  at::cuda::CUDAEvent copied_;
};

// Immutable; generators are locked by torch.
class CudaAccelerator final : public Accelerator {
 public:
  explicit CudaAccelerator(int count) : count_(count) {}

  std::string name() const override { return "cuda"; }
  int device_count() const override { return count_; }
  c10::Device device(int index) const override {
    return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
  }
  void set_device(c10::Device device) override { c10::cuda::set_device(device.index()); }
  void synchronize(c10::Device device) override {
    c10::cuda::getCurrentCUDAStream(device.index()).synchronize();
  }
  std::unique_ptr<CopyStream> copy_stream(c10::Device device) override {
    return std::make_unique<CudaCopyStream>(device);
  }
  at::Tensor pin(const at::Tensor& tensor) override { return tensor.pin_memory(); }

  std::string backend_name() const override { return "nccl"; }
  c10::intrusive_ptr<c10d::Backend> make_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                 int rank, int world_size,
                                                 std::chrono::milliseconds timeout) override {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = timeout;
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, world_size, options);
  }

  void seed(std::uint64_t seed) override {
    for (int i = 0; i < count_; ++i) {
      at::Generator generator =
          at::cuda::detail::getDefaultCUDAGenerator(static_cast<c10::DeviceIndex>(i));
      const std::lock_guard lock(generator.mutex());
      generator.set_current_seed(seed);
    }
  }
  std::vector<at::Tensor> generator_states() const override {
    std::vector<at::Tensor> states;
    for (int i = 0; i < count_; ++i) {
      at::Generator generator =
          at::cuda::detail::getDefaultCUDAGenerator(static_cast<c10::DeviceIndex>(i));
      const std::lock_guard lock(generator.mutex());
      states.push_back(generator.get_state());
    }
    return states;
  }
  void set_generator_states(const std::vector<at::Tensor>& states) override {
    for (std::size_t i = 0; i < states.size() && i < static_cast<std::size_t>(count_); ++i) {
      at::Generator generator =
          at::cuda::detail::getDefaultCUDAGenerator(static_cast<c10::DeviceIndex>(i));
      const std::lock_guard lock(generator.mutex());
      generator.set_state(states[i]);
    }
  }

 private:
  const int count_;
};

void explain(char* why, unsigned long size, const char* text) {
  if (size == 0) return;
  std::strncpy(why, text, size - 1);
  why[size - 1] = '\0';
  if (char* line_end = std::strchr(why, '\n')) *line_end = '\0';  // one line
}

}  // namespace
}  // namespace lctl

// NOLINTNEXTLINE: the name is the plugin's contract (plugin.h).
extern "C" __attribute__((visibility("default"))) lctl::Accelerator* lctl_make_cuda_accelerator_1(
    char* why, unsigned long size) {
  try {
    const int count = c10::cuda::device_count_ensure_non_zero();
    return new lctl::CudaAccelerator(count);
  } catch (const c10::Error& error) {
    lctl::explain(why, size, error.what_without_backtrace());
  } catch (const std::exception& error) {
    lctl::explain(why, size, error.what());
  }
  return nullptr;
}
