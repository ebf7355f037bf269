// What the trainer is doing right now.
#pragma once

#include <cstdint>
#include <string_view>

namespace lctl {

enum class RunFn : std::uint8_t { kFit, kValidate, kTest, kPredict };
enum class Stage : std::uint8_t { kNone, kTrain, kSanityCheck, kValidate, kTest, kPredict };

// Where in the course of training a checkpoint is taken: what exact resume has to do next.
// The numbers are stored in checkpoints: do not change them.
enum class TrainingPosition : std::int64_t {
  kElsewhere = 0,      // not a place that training can go on from exactly
  kBatchDone = 1,      // between two batches
  kTrainBatchEnd = 2,  // in on_train_batch_end
  kValidationEnd = 3,  // in on_validation_end
  kTrainEpochEnd = 4,  // in on_train_epoch_end
  kEpochDone = 5,      // between two epochs
};

// Shared by loops, connectors and callbacks; the trainer owns it.
// Thread rule: one strand only (the training thread).
struct RunState {
  RunFn fn = RunFn::kFit;
  Stage stage = Stage::kNone;
  TrainingPosition position = TrainingPosition::kElsewhere;
  bool should_stop = false;  // a callback or the user asked to end training

  bool training() const { return stage == Stage::kTrain; }
  bool sanity_checking() const { return stage == Stage::kSanityCheck; }
  bool validating() const { return stage == Stage::kValidate; }
  bool testing() const { return stage == Stage::kTest; }
};

// "fit", "validate", "test", "predict": the stage argument of setup and teardown.
inline std::string_view fn_name(RunFn fn) {
  switch (fn) {
    case RunFn::kFit:
      return "fit";
    case RunFn::kValidate:
      return "validate";
    case RunFn::kTest:
      return "test";
    case RunFn::kPredict:
      return "predict";
  }
  return "";
}

}  // namespace lctl
