// Writes what a run came to as JSON: what the conformance suite compares.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// docs/trainer.md, "Run summary", has the keys. Written in teardown, by rank 0.
// Thread rule: one strand only (the training thread).
class RunSummary final : public Callback {
 public:
  explicit RunSummary(std::string path) : path_(std::move(path)) {}

  std::string type_name() const override { return "RunSummary"; }
  void on_train_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&,
                          std::int64_t) override {
    ++train_batches_;
  }
  void on_validation_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                               std::int64_t, std::int64_t) override;
  void on_test_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&, std::int64_t,
                         std::int64_t) override {
    ++test_batches_;
  }
  void on_predict_batch_end(Trainer&, TrainableModule&, const Batch& outputs, const Batch&,
                            std::int64_t, std::int64_t) override;
  void teardown(Trainer& trainer, TrainableModule& module, std::string_view stage) override;

 private:
  std::string path_;
  std::int64_t train_batches_ = 0;
  std::int64_t val_batches_ = 0;
  std::int64_t test_batches_ = 0;
  std::int64_t predict_batches_ = 0;
  std::vector<at::Tensor> predictions_;
};

}  // namespace lctl
