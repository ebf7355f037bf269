// A run's hooks as signs of life.
#pragma once

#include "worker/pulse/pulse.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

// Tells the process's pulse where the run is: each batch, and the times between them that nobody
// can tell the length of. First among the callbacks. Thread rule: one strand only (the training
// thread).
class PulseCallback final : public Callback {
 public:
  std::string type_name() const override { return "PulseCallback"; }

  void on_train_start(Trainer&, TrainableModule&) override { pause(); }
  void on_train_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t) override {
    pulse::batch_begins(pulse::Phase::kTraining);
  }
  void on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                          std::int64_t) override {
    pulse::batch_ends(trainer.global_step());
  }
  void on_train_epoch_end(Trainer&, TrainableModule&) override { pause(); }
  void on_train_end(Trainer&, TrainableModule&) override { pause(); }

  void on_validation_start(Trainer&, TrainableModule&) override { pause(); }
  void on_validation_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t,
                                 std::int64_t) override {
    pulse::batch_begins(pulse::Phase::kValidating);
  }
  void on_validation_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                               std::int64_t, std::int64_t) override {
    pulse::batch_ends(trainer.global_step());
  }
  void on_validation_epoch_end(Trainer&, TrainableModule&) override { pause(); }

  void on_test_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t,
                           std::int64_t) override {
    pulse::batch_begins(pulse::Phase::kTesting);
  }
  void on_test_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                         std::int64_t, std::int64_t) override {
    pulse::batch_ends(trainer.global_step());
  }
  void on_test_epoch_end(Trainer&, TrainableModule&) override { pause(); }

  void on_predict_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t,
                              std::int64_t) override {
    pulse::batch_begins(pulse::Phase::kPredicting);
  }
  void on_predict_batch_end(Trainer& trainer, TrainableModule&, const Batch&, const Batch&,
                            std::int64_t, std::int64_t) override {
    pulse::batch_ends(trainer.global_step());
  }
  void on_predict_epoch_end(Trainer&, TrainableModule&) override { pause(); }

  // Until the next batch begins.
  void on_save_checkpoint(Trainer&, TrainableModule&, checkpoint::Dict&) override {
    pulse::enter(pulse::Phase::kSaving);
  }

  void on_exception(Trainer&, TrainableModule&, const std::exception&) override { pause(); }
  void teardown(Trainer&, TrainableModule&, std::string_view) override { pause(); }

 private:
  static void pause() { pulse::enter(pulse::Phase::kBetween); }
};

}  // namespace lctl
