// The one interface to a kind of device: what exists, where work runs, how ranks talk, how data
// moves.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/accelerators/host_stats.h"

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace lctl {

// An ordered queue of work on a device beside the one that training uses. Copies issued between
// begin() and end() go to it. Thread rule: one strand only.
class CopyStream {
 public:
  virtual ~CopyStream() = default;
  virtual void begin() = 0;
  virtual void end() = 0;
  // Training waits (on the device, not on the host) for all copies issued so far.
  virtual void join() = 0;
  // Training will use that copy: its memory is not used again before training is past it.
  virtual void hand_over(const at::Tensor& copy) = 0;
};

// Thread rule: any thread may ask; set_device and seeds are the calling thread's / the process's.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  virtual std::string name() const = 0;  // "cpu", "cuda"
  virtual int device_count() const = 0;
  virtual c10::Device device(int index) const = 0;
  virtual void set_device(c10::Device device) = 0;  // current for this thread

  // Waits until the device has done everything asked of it.
  virtual void synchronize(c10::Device device) = 0;
  // Null when the device has no streams of its own.
  virtual std::unique_ptr<CopyStream> copy_stream(c10::Device device) = 0;
  // A host tensor, uninitialised and contiguous, that the device can read directly (pinned);
  // ordinary memory where that is pointless. Memory of tensors that are gone is used again. Any
  // thread.
  virtual at::Tensor empty_pinned(at::IntArrayRef sizes, at::ScalarType dtype) = 0;

  // Makes memory that is there one that the device can write to directly, until the handle is gone;
  // null where that is pointless or refused. Any thread.
  virtual std::shared_ptr<void> pin(void* memory, std::size_t bytes) = 0;

  // What a monitor shows of a device: percentages of the host on the CPU, torch.cuda.memory_stats'
  // numbers (bytes, counts) on CUDA. Does not wait for the device.
  virtual DeviceStats device_stats(c10::Device device) = 0;
  // "NVIDIA H100 80GB HBM3"; "cpu".
  virtual std::string device_name(c10::Device device) const = 0;
  // Of the device's own libraries: "cuda", "cudnn", "nccl"; none on the CPU.
  virtual std::map<std::string, std::string> versions() const = 0;

  // Collectives between the ranks: Gloo, NCCL.
  virtual std::string backend_name() const = 0;
  virtual c10::intrusive_ptr<c10d::Backend> make_backend(
      const c10::intrusive_ptr<c10d::Store>& store, int rank, int world_size,
      std::chrono::milliseconds timeout) = 0;

  // Generators of this kind of device (the CPU's is always seeded by seed_everything).
  virtual void seed(std::uint64_t seed) = 0;
  virtual std::vector<at::Tensor> generator_states() const = 0;
  virtual void set_generator_states(const std::vector<at::Tensor>& states) = 0;
};

std::unique_ptr<Accelerator> make_cpu_accelerator();

}  // namespace lctl
