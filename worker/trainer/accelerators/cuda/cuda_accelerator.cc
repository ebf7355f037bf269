// The CUDA accelerator: devices, streams, NCCL, pinned copies. Built with --config=cuda into
// liblctl_cuda.so.
#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/NCCLUtils.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>

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
  void hand_over(const at::Tensor& copy) override {
    if (!copy.is_cuda()) return;
    c10::cuda::CUDACachingAllocator::recordStream(copy.storage().data_ptr(),
                                                  c10::cuda::getCurrentCUDAStream(device_.index()));
  }

 private:
  c10::Device device_;
  c10::cuda::CUDAStream stream_;
  std::optional<c10::cuda::CUDAStream> before_;
  at::cuda::CUDAEvent copied_;
};

// torch.cuda.memory_stats: its names, sorted as there.
DeviceStats memory_stats(c10::DeviceIndex device) {
  using c10::CachingDeviceAllocator::Stat;
  using c10::CachingDeviceAllocator::StatArray;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device);
  std::map<std::string, double> sorted;
  const auto add_one = [&sorted](const std::string& name, const Stat& stat) {
    sorted[name + ".current"] = static_cast<double>(stat.current);
    sorted[name + ".peak"] = static_cast<double>(stat.peak);
    sorted[name + ".allocated"] = static_cast<double>(stat.allocated);
    sorted[name + ".freed"] = static_cast<double>(stat.freed);
  };
  const auto add = [&add_one](const std::string& name, const StatArray& pools) {
    add_one(name + ".all", pools[0]);
    add_one(name + ".small_pool", pools[1]);
    add_one(name + ".large_pool", pools[2]);
  };
  add("allocation", stats.allocation);
  add("segment", stats.segment);
  add("active", stats.active);
  add("inactive_split", stats.inactive_split);
  add("allocated_bytes", stats.allocated_bytes);
  add("reserved_bytes", stats.reserved_bytes);
  add("active_bytes", stats.active_bytes);
  add("inactive_split_bytes", stats.inactive_split_bytes);
  add("requested_bytes", stats.requested_bytes);
  add_one("oversize_allocations", stats.oversize_allocations);
  add_one("oversize_segments", stats.oversize_segments);
  sorted["num_alloc_retries"] = static_cast<double>(stats.num_alloc_retries);
  sorted["num_ooms"] = static_cast<double>(stats.num_ooms);
  sorted["num_sync_all_streams"] = static_cast<double>(stats.num_sync_all_streams);
  sorted["num_device_alloc"] = static_cast<double>(stats.num_device_alloc);
  sorted["num_device_free"] = static_cast<double>(stats.num_device_free);
  sorted["max_split_size"] = static_cast<double>(stats.max_split_size);
  return {sorted.begin(), sorted.end()};
}

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
  at::Tensor empty_pinned(at::IntArrayRef sizes, at::ScalarType dtype) override {
    return at::empty(sizes, at::TensorOptions().dtype(dtype).pinned_memory(true));
  }
  std::shared_ptr<void> pin(void* memory, std::size_t bytes) override {
    if (cudaHostRegister(memory, bytes, cudaHostRegisterDefault) == cudaSuccess) {
      return {memory, [](void* pinned) { static_cast<void>(cudaHostUnregister(pinned)); }};
    }
    static_cast<void>(cudaGetLastError());  // it would be the next call's
    return nullptr;
  }

  DeviceStats device_stats(c10::Device device) override { return memory_stats(device.index()); }
  std::string device_name(c10::Device device) const override {
    return at::cuda::getDeviceProperties(device.index())->name;
  }
  std::map<std::string, std::string> versions() const override {
    std::map<std::string, std::string> versions = {{"nccl", c10d::getNcclVersion()}};
    // Source: CUDA Runtime API, 1000 major + 10 minor; cuDNN from 9 on, 10000 major + 100 minor +
    // patch.
    if (int cuda = 0; cudaRuntimeGetVersion(&cuda) == cudaSuccess)
      versions["cuda"] = fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
    if (const auto& hooks = at::detail::getCUDAHooks(); hooks.compiledWithCuDNN()) {
      const long cudnn = hooks.versionRuntimeCuDNN();
      versions["cudnn"] =
          fmt::format("{}.{}.{}", cudnn / 10'000, cudnn % 10'000 / 100, cudnn % 100);
    }
    return versions;
  }

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
extern "C" __attribute__((visibility("default"))) lctl::Accelerator* lctl_make_cuda_accelerator_2(
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
