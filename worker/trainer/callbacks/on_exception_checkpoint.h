// OnExceptionCheckpoint.
#pragma once

#include <string>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Saves `<dirpath>/<filename>.ckpt` when a run fails, and removes it when one ends well. A fit that
// is given no checkpoint goes on from it. Source: Lightning, callbacks/on_exception_checkpoint.py.
// Thread rule: one strand only (the training thread).
class OnExceptionCheckpoint final : public Callback {
 public:
  // Throws std::invalid_argument when `filename` is empty.
  explicit OnExceptionCheckpoint(std::string dirpath, const std::string& filename = "on_exception");

  std::string type_name() const override { return "OnExceptionCheckpoint"; }
  Kind kind() const override { return Kind::kCheckpoint; }
  std::string on_exception_path() const override { return path_; }

  void on_exception(Trainer& trainer, TrainableModule& module,
                    const std::exception& error) override;
  void teardown(Trainer& trainer, TrainableModule& module, std::string_view stage) override;

 private:
  const std::string path_;
};

}  // namespace lctl
