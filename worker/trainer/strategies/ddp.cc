// Data parallel training on c10d's Reducer: the C++ half of torch's DistributedDataParallel.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "worker/pulse/pulse.h"
#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/trainable_module.h"
#include "worker/trainer/strategies/boundary_agreement.h"
#include "worker/trainer/strategies/counted_process_group.h"
#include "worker/trainer/strategies/rendezvous_store.h"
#include "worker/trainer/strategies/store_agreement.h"
#include "worker/trainer/strategies/strategy.h"

namespace lctl {
namespace {

constexpr std::size_t kFirstBucketBytes = c10d::kDefaultFirstBucketBytes;
constexpr std::size_t kBucketBytes = c10d::kDefaultBucketBytesCap;
constexpr std::size_t kBroadcastBytes = 250 * 1024 * 1024;

// Thread rule: one strand only.
class DdpStrategy final : public Strategy {
 public:
  DdpStrategy(Accelerator& accelerator, c10::Device device, RankLayout layout,
              Rendezvous rendezvous, DdpOptions options)
      : accelerator_(accelerator),
        device_(device),
        layout_(layout),
        rendezvous_(std::move(rendezvous)),
        options_(options) {}

  std::string name() const override { return "DDPStrategy"; }
  const RankLayout& layout() const override { return layout_; }
  c10::Device root_device() const override { return device_; }

  void setup_environment() override {
    if (group_) return;
    store_ =
        open_rendezvous_store(rendezvous_, layout_, std::chrono::milliseconds(options_.timeout_ms));
    const auto prefixed = c10::make_intrusive<c10d::PrefixStore>("default", store_);
    group_ =
        c10::make_intrusive<CountedProcessGroup>(prefixed, layout_.global_rank, layout_.world_size);
    const auto backend =
        accelerator_.make_backend(prefixed, layout_.global_rank, layout_.world_size,
                                  std::chrono::milliseconds(options_.timeout_ms));
    const auto type = device_.is_cpu() ? c10d::ProcessGroup::BackendType::GLOO
                                       : c10d::ProcessGroup::BackendType::NCCL;
    group_->setDefaultBackend(type);
    group_->setBackend(device_.type(), type, backend);
    group_->setGroupName("default");
    say_that_all_are_here();
  }

  void setup_module(TrainableModule& module, bool training) override {
    reducer_.reset();
    buffers_.clear();
    std::vector<at::Tensor> parameters;
    std::unordered_map<std::size_t, std::string> names;
    for (const NamedTensor& parameter : module.parameter_list()) {
      if (!parameter.tensor.requires_grad()) continue;
      names.emplace(parameters.size(), parameter.name);
      parameters.push_back(parameter.tensor);
    }
    std::vector<at::Tensor> state;
    for (const NamedTensor& tensor : module.state_list()) state.push_back(tensor.tensor.detach());
    if (!training) {  // without a seed each rank has other weights
      if (!state.empty()) broadcast_from_zero(state);
      return;
    }
    if (parameters.empty()) {
      throw std::runtime_error(
          "the strategy ddp needs at least one parameter that requires a gradient; the model has "
          "none");
    }
    c10d::verify_params_across_processes(group_, parameters, std::nullopt);
    broadcast_from_zero(state);
    for (const NamedTensor& tensor : module.state_list()) {
      if (!is_parameter(tensor.tensor, module)) buffers_.push_back(tensor.tensor.detach());
    }
    make_reducer(std::move(parameters), std::move(names));
  }

  void teardown() override {
    reducer_.reset();
    buffers_.clear();
  }

  ~DdpStrategy() override {
    reducer_.reset();
    group_.reset();
    store_.reset();
  }

  void before_training_forward(bool sync) override {
    if (!reducer_) return;
    if (sync) reducer_->prepare_for_forward();
    // torch rebuilds its buckets once, in the order in which gradients came.
    if (sync) reducer_->rebuild_buckets();
    sync_buffers();
  }

  void after_training_forward(bool sync, const at::Tensor& loss) override {
    if (!reducer_) return;
    sync_buffers_next_ = sync;
    if (!sync) return;
    std::vector<at::Tensor> outputs;
    if (options_.find_unused_parameters && loss.defined()) outputs.push_back(loss);
    reducer_->prepare_for_backward(outputs);
  }

  void before_evaluation_forward() override {
    sync_buffers();
    sync_buffers_next_ = false;
  }

  at::Tensor reduce(const at::Tensor& value, Reduction op) override {
    c10d::AllreduceOptions all;
    switch (op) {
      case Reduction::kMin:
        all.reduceOp = c10d::ReduceOp::MIN;
        break;
      case Reduction::kMax:
        all.reduceOp = c10d::ReduceOp::MAX;
        break;
      default:
        all.reduceOp = c10d::ReduceOp::SUM;
        break;
    }
    std::vector<at::Tensor> tensors{value.device() == device_ ? value : value.to(device_)};
    finish(group_->allreduce(tensors, all));
    if (op == Reduction::kMean) {
      if (tensors[0].is_floating_point()) {
        tensors[0].div_(layout_.world_size);
      } else {
        tensors[0].copy_(tensors[0].div(layout_.world_size));
      }
    }
    return tensors[0];
  }

  bool reduce_boolean_decision(bool decision, bool all) override {
    const at::Tensor votes =
        at::full({}, decision ? 1 : 0, at::TensorOptions(at::kInt).device(device_));
    const std::int64_t sum = reduce(votes, Reduction::kSum).item().toLong();
    return all ? sum == layout_.world_size : sum > 0;
  }

  std::string broadcast(const std::string& text) override {
    at::Tensor size = at::full({1}, static_cast<std::int64_t>(text.size()),
                               at::TensorOptions(at::kLong).device(device_));
    send_from_zero(size);
    at::Tensor bytes = at::empty({size.item().toLong()}, at::TensorOptions(at::kByte));
    if (bytes.numel() == 0) return {};
    if (is_global_zero()) std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
    bytes = bytes.to(device_);
    send_from_zero(bytes);
    const at::Tensor received = bytes.cpu();
    return std::string(static_cast<const char*>(received.const_data_ptr()),
                       static_cast<std::size_t>(received.numel()));
  }

  std::vector<std::string> gather(const std::string& bytes) override {
    // All-gather of padded blocks: the blocks are a few kilobytes and this happens at checkpoints
    // only.
    const at::Tensor size = at::full({}, static_cast<std::int64_t>(bytes.size()),
                                     at::TensorOptions(at::kLong).device(device_));
    const std::int64_t longest = reduce(size.clone(), Reduction::kMax).item().toLong();
    at::Tensor block = at::full({longest + 8}, 0, at::TensorOptions(at::kByte));
    const std::uint64_t length = bytes.size();
    std::memcpy(block.mutable_data_ptr(), &length, 8);
    std::memcpy(static_cast<char*>(block.mutable_data_ptr()) + 8, bytes.data(), bytes.size());
    const at::Tensor blocks = all_gather(block);
    std::vector<std::string> gathered;
    if (!is_global_zero()) return gathered;
    const at::Tensor all = blocks.cpu();
    for (int rank = 0; rank < layout_.world_size; ++rank) {
      const at::Tensor host = all[rank];
      const char* data = static_cast<const char*>(host.const_data_ptr());
      std::uint64_t got = 0;
      std::memcpy(&got, data, 8);
      gathered.emplace_back(data + 8, static_cast<std::size_t>(got));
    }
    return gathered;
  }

  at::Tensor all_gather(const at::Tensor& tensor) override {
    std::vector<at::Tensor> inputs{tensor.to(device_).contiguous()};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int rank = 0; rank < layout_.world_size; ++rank)
      outputs[0].push_back(at::empty_like(inputs[0]));
    finish(group_->allgather(outputs, inputs));
    return at::stack(outputs[0]);
  }

  void barrier() override { finish(group_->barrier()); }

  std::unique_ptr<BoundaryAgreement> make_agreement() override {
    // Keys of the fit before must not speak to this one.
    const auto store = c10::make_intrusive<c10d::PrefixStore>(
        "agreement-" + std::to_string(agreements_++), store_);
    return make_store_agreement(store, layout_.global_rank, layout_.world_size);
  }

 private:
  static bool is_parameter(const at::Tensor& tensor, const TrainableModule& module) {
    const auto parameters = module.parameter_list();
    return std::any_of(parameters.begin(), parameters.end(), [&](const NamedTensor& parameter) {
      return parameter.tensor.is_same(tensor);
    });
  }

  void make_reducer(std::vector<at::Tensor> parameters,
                    std::unordered_map<std::size_t, std::string> names) {
    const std::vector<bool> sparse(parameters.size(), false);
    // As in torch: with unused parameters the first bucket is small from the start, else all
    // parameters are one list of buckets until they are rebuilt in gradient order.
    const std::vector<std::size_t> limits =
        options_.find_unused_parameters
            ? std::vector<std::size_t>{kFirstBucketBytes, kBucketBytes}
            : std::vector<std::size_t>{std::numeric_limits<std::size_t>::max()};
    auto [buckets, sizes] =
        c10d::compute_bucket_assignment_by_size(parameters, limits, sparse, {}, std::nullopt);
    std::reverse(buckets.begin(), buckets.end());
    reducer_ = std::make_unique<c10d::Reducer>(
        std::move(parameters), std::move(buckets), group_, sparse,
        static_cast<std::int64_t>(kBucketBytes), options_.find_unused_parameters,
        /*gradient_as_bucket_view=*/true, std::move(names),
        static_cast<std::int64_t>(kFirstBucketBytes), /*skip_all_reduce_unused_params=*/false,
        /*use_python_reducer=*/false, std::vector<std::int64_t>{});
  }

  void say_that_all_are_here() const {
    const std::string line(100, '-');
    const int world_size = layout_.world_size;
    console::info("Initializing distributed: GLOBAL_RANK: " + std::to_string(layout_.global_rank) +
                  ", MEMBER: " + std::to_string(layout_.global_rank + 1) + "/" +
                  std::to_string(world_size));
    console::info(line + "\ndistributed_backend=" + accelerator_.backend_name() +
                  "\nAll distributed processes registered. Starting with " +
                  std::to_string(world_size) + " processes\n" + line + "\n");
  }

  // Buffers (batch norm's statistics) become rank 0's after each averaged step.
  void sync_buffers() {
    if (!sync_buffers_next_ || buffers_.empty()) return;
    broadcast_from_zero(buffers_);
  }

  static void finish(const c10::intrusive_ptr<c10d::Work>& work) {
    work->wait();
    pulse::collectives_passed();
  }

  void broadcast_from_zero(const std::vector<at::Tensor>& tensors) {
    c10d::broadcast_coalesced(group_, tensors, kBroadcastBytes, 0);
    pulse::collectives_passed();
  }

  void send_from_zero(at::Tensor& tensor) {
    std::vector<at::Tensor> tensors{tensor};
    finish(group_->broadcast(tensors, c10d::BroadcastOptions()));
  }

  Accelerator& accelerator_;
  const c10::Device device_;
  const RankLayout layout_;
  const Rendezvous rendezvous_;
  const DdpOptions options_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::unique_ptr<c10d::Reducer> reducer_;
  std::vector<at::Tensor> buffers_;
  bool sync_buffers_next_ = true;
  int agreements_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_ddp_strategy(Accelerator& accelerator, c10::Device device,
                                            RankLayout layout, Rendezvous rendezvous,
                                            DdpOptions options) {
  return std::make_unique<DdpStrategy>(accelerator, device, layout, std::move(rendezvous), options);
}

}  // namespace lctl
