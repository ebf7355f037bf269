#include "worker/trainer/callbacks/on_exception_checkpoint.h"

#include <filesystem>
#include <stdexcept>
#include <utility>

#include "worker/trainer/trainer/trainer.h"

namespace lctl {

OnExceptionCheckpoint::OnExceptionCheckpoint(std::string dirpath, const std::string& filename)
    : path_((std::filesystem::path(std::move(dirpath)) / (filename + ".ckpt")).string()) {
  if (filename.empty()) throw std::invalid_argument("The filename cannot be empty");
}

void OnExceptionCheckpoint::on_exception(Trainer& trainer, TrainableModule& /*module*/,
                                         const std::exception& /*error*/) {
  trainer.save_checkpoint(path_);
}

void OnExceptionCheckpoint::teardown(Trainer& trainer, TrainableModule& /*module*/,
                                     std::string_view /*stage*/) {
  trainer.remove_checkpoint(path_);
}

}  // namespace lctl
