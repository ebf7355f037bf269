// wandb.watch: gradients, parameters and the layers of a model while it trains.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/loggers/wandb/histogram.h"

namespace lctl::wandb {

class LayerGraph;

struct WatchOptions {
  std::optional<std::string> log = "gradients";  // gradients, parameters, all; none: no histograms
  std::int64_t log_freq = 100;                   // in batches
  bool log_graph = true;
};

// Takes `gradients/<name>` of what backward gives each parameter (before clipping, before ranks
// average, of one batch of an accumulation) and `parameters/<name>` of the values that a forward
// pass reads, every log_freq batches: gradients of training batches, parameters of the batches of
// all loops, the sanity check's too, as wandb's hooks count. In between it counts; nothing else.
// The graph is taken from the first batch of all. Throws std::invalid_argument for options that
// mean nothing. Thread rule: one strand only (the training thread).
class Watch final : public Callback {
 public:
  // Where it puts what it takes; called on the training thread, or inside of its backward pass.
  struct Sink {
    std::function<void(std::string name, Histogram histogram)> histogram;
    std::function<void(const std::string& json)> graph;
  };

  // `module`: null watches whatever the trainer trains.
  Watch(const TrainableModule* module, WatchOptions options, Sink sink);
  ~Watch() override;

  void on_train_batch_start(Trainer& trainer, TrainableModule& module, const Batch& batch,
                            std::int64_t batch_idx) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& outputs,
                          const Batch& batch, std::int64_t batch_idx) override;
  void on_validation_batch_start(Trainer&, TrainableModule& module, const Batch&, std::int64_t,
                                 std::int64_t) override {
    forward_follows(module);
  }
  void on_validation_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&,
                               std::int64_t, std::int64_t) override {
    forward_is_over();
  }
  void on_test_batch_start(Trainer&, TrainableModule& module, const Batch&, std::int64_t,
                           std::int64_t) override {
    forward_follows(module);
  }
  void on_test_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&, std::int64_t,
                         std::int64_t) override {
    forward_is_over();
  }
  void on_predict_batch_start(Trainer&, TrainableModule& module, const Batch&, std::int64_t,
                              std::int64_t) override {
    forward_follows(module);
  }
  void on_predict_batch_end(Trainer&, TrainableModule&, const Batch&, const Batch&, std::int64_t,
                            std::int64_t) override {
    forward_is_over();
  }
  void on_exception(Trainer&, TrainableModule&, const std::exception&) override { let_go(); }
  void teardown(Trainer&, TrainableModule&, std::string_view) override { let_go(); }

 private:
  bool watches(const TrainableModule& module) const;
  void forward_follows(TrainableModule& module);
  void forward_is_over();
  void hook_gradients(TrainableModule& module);
  void remove_hooks();
  void let_go();

  const TrainableModule* const module_;
  const WatchOptions options_;
  const Sink sink_;
  const bool parameters_;
  const bool gradients_;
  std::int64_t forwards_ = 0;  // since the last histograms of parameters
  std::int64_t batches_ = 0;   // of training, since the last ones of gradients
  bool graph_wanted_;
  std::unique_ptr<LayerGraph> graph_;                   // while a batch is looked at
  std::vector<std::pair<at::Tensor, unsigned>> hooks_;  // while gradients are looked at
};

}  // namespace lctl::wandb
