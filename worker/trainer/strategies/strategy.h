// How a run is spread over processes: one, or several that average their gradients.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/core/log_options.h"

namespace lctl {

class Accelerator;
class BoundaryAgreement;
class TrainableModule;

// Where this process stands among the ranks of a run. Immutable.
struct RankLayout {
  int global_rank = 0;
  int local_rank = 0;  // on this machine
  int node_rank = 0;
  int world_size = 1;
  int local_world_size = 1;
};

// Every collective is called by all ranks, in the same order. With one rank they cost nothing.
// Thread rule: one strand only (the training thread).
class Strategy {
 public:
  virtual ~Strategy() = default;

  virtual std::string name() const = 0;  // "SingleDeviceStrategy", "DDPStrategy"
  virtual const RankLayout& layout() const = 0;
  virtual c10::Device root_device() const = 0;
  bool is_global_zero() const { return layout().global_rank == 0; }
  bool is_distributed() const { return layout().world_size > 1; }

  // Joins the other ranks. Throws std::runtime_error naming the address when they cannot be
  // reached.
  virtual void setup_environment() = 0;

  // After the module is on its device. `training`: parameters and buffers become rank 0's, and
  // gradients are averaged from now on.
  virtual void setup_module(TrainableModule& module, bool training) = 0;
  virtual void teardown() = 0;

  // ---- around one training step. `sync`: gradients of this backward are averaged.
  virtual void before_training_forward(bool sync) = 0;
  virtual void after_training_forward(bool sync, const at::Tensor& loss) = 0;
  virtual void before_evaluation_forward() = 0;

  // ---- collectives
  // In place on `value`, which is also returned. Mean of integers is truncated, as in Lightning.
  virtual at::Tensor reduce(const at::Tensor& value, Reduction op) = 0;
  // all: true when every rank says true; else when any does.
  virtual bool reduce_boolean_decision(bool decision, bool all) = 0;
  virtual std::string broadcast(const std::string& text) = 0;  // rank 0's
  virtual std::vector<std::string> gather(
      const std::string& bytes) = 0;  // by rank; on rank 0 only, else empty
  // Those tensors of all ranks, stacked along a new first dimension; shapes and types must be
  // equal. Of one process: the tensor itself, as in Lightning.
  virtual at::Tensor all_gather(const at::Tensor& tensor) = 0;
  virtual void barrier() = 0;

  // How the ranks agree on the batch after which they all save or stop. After setup_environment().
  virtual std::unique_ptr<BoundaryAgreement> make_agreement() = 0;
};

// One process; needs no other part.
std::unique_ptr<Strategy> make_single_device_strategy(c10::Device device);

// The store of a process whose ranks meet more than once (several trainers, one after another).
struct SharedStore;
std::shared_ptr<SharedStore> make_shared_store();

// Where the ranks of a distributed run meet.
struct Rendezvous {
  std::string address;  // of rank 0
  int port = 0;
  int listen_fd = -1;  // rank 0: an already listening socket for the store; -1 = bind `port`
  std::shared_ptr<SharedStore> shared = nullptr;  // null: the strategy has a store of its own
};

struct DdpOptions {
  bool find_unused_parameters = false;
  std::int64_t timeout_ms = 1'800'000;  // of a collective
};

// `accelerator` must outlive the strategy.
std::unique_ptr<Strategy> make_ddp_strategy(Accelerator& accelerator, c10::Device device,
                                            RankLayout layout, Rendezvous rendezvous,
                                            DdpOptions options);

}  // namespace lctl
