// The bar on standard output.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// On a terminal one line that is drawn over at most ten times a second; elsewhere a line at the end
// of each epoch and each evaluation, so that captured logs stay readable. Rank 0 only. Thread rule:
// one strand only (the training thread).
class ProgressBar final : public Callback {
 public:
  // Draws at every `refresh_rate`-th batch; 0 = never.
  ProgressBar(std::string type_name, std::int64_t refresh_rate);

  std::string type_name() const override { return type_name_; }
  Kind kind() const override { return Kind::kProgressBar; }

  void on_train_epoch_start(Trainer& trainer, TrainableModule&) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                          std::int64_t batch_idx) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule&) override;
  void on_validation_start(Trainer& trainer, TrainableModule&) override;
  void on_validation_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                               std::int64_t batch_idx, std::int64_t dataloader_idx) override;
  void on_validation_end(Trainer& trainer, TrainableModule&) override;
  void on_test_start(Trainer& trainer, TrainableModule&) override;
  void on_test_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                         std::int64_t batch_idx, std::int64_t dataloader_idx) override;
  void on_test_end(Trainer& trainer, TrainableModule&) override;
  void on_predict_start(Trainer& trainer, TrainableModule&) override;
  void on_predict_batch_end(Trainer& trainer, TrainableModule&, const Batch&, const Batch&,
                            std::int64_t batch_idx, std::int64_t dataloader_idx) override;
  void on_predict_end(Trainer& trainer, TrainableModule&) override;

 private:
  struct Bar {
    std::string description;
    std::int64_t total = 0;  // kInfiniteBatches = unknown
    std::int64_t done = 0;
    MonotonicTime started{};
  };

  void begin(Trainer& trainer, Bar& bar, std::string description, std::int64_t total);
  void advance(Trainer& trainer, Bar& bar, std::int64_t done);
  void draw(Trainer& trainer, const Bar& bar, bool last);
  void end(Trainer& trainer, const Bar& bar);
  bool silent(const Trainer& trainer) const;

  std::string type_name_;
  std::int64_t refresh_rate_;
  bool terminal_;
  Bar train_;
  Bar evaluation_;
  MonotonicTime last_draw_{};
  std::size_t drawn_width_ = 0;
};

}  // namespace lctl
