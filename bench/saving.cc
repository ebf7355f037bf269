// What bench/checkpoint measures of ours: a training run that saves, and the limit of the disk.
//
// usage: saving train FOLDER PARAMETERS [sync|gpu]
//                                                seconds that the loop is blocked, until the file
//                                                is whole and synced, and the file's bytes
//        saving frozen FOLDER PARAMETERS        two checkpoints, first.ckpt and second.ckpt, of a
//        model
//                                               of which a fourth is trained; its bytes with Adam's
//                                               states
//        saving raw FOLDER BYTES                 seconds of write() and fsync()
//        saving copy BYTES                       seconds of a copy into memory that is there
#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/seconds.h"
#include "worker/trainer/lightning.h"

namespace L = lctl;
namespace fs = std::filesystem;

namespace {

using lctl::bench::now;

constexpr std::int64_t kBatches = 6;
constexpr std::int64_t kSavedAt = 3;  // the batch after which it saves: all states are there

// Square layers with Adam: with its two states three numbers for a parameter.
class Wide : public L::LightningModule {
 public:
  explicit Wide(std::int64_t parameters, bool frozen = false) {
    const auto width = static_cast<std::int64_t>(std::sqrt(static_cast<double>(parameters) / 4));
    for (int i = 0; i < 4; ++i)
      layers->push_back(torch::nn::Linear(torch::nn::LinearOptions(width, width).bias(false)));
    register_module("layers", layers);
    width_ = width;
    if (!frozen) return;
    for (int i = 0; i < 3; ++i) {
      for (at::Tensor& parameter : layers->ptr(i)->parameters()) parameter.requires_grad_(false);
    }
  }
  std::int64_t trained_parameters() const { return width_ * width_; }
  L::StepOutput training_step(const L::Batch& batch, std::int64_t) override {
    return layers->forward(batch[0].tensor()).square().mean();
  }
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(
        std::make_shared<L::TensorDataset>(std::vector<at::Tensor>{at::ones({kBatches, width_})}));
  }
  L::OptimizersConfig configure_optimizers() override {
    std::vector<at::Tensor> trained = parameters();
    std::erase_if(trained, [](const at::Tensor& each) { return !each.requires_grad(); });
    return L::make_optimizer<L::Adam>(trained, {.lr = 1e-4});
  }

 private:
  torch::nn::Sequential layers;
  std::int64_t width_ = 0;
};

// Saves as ModelCheckpoint does, and takes the times.
class TimedSave final : public L::Callback {
 public:
  explicit TimedSave(std::string file) : file_(std::move(file)) {}
  std::string type_name() const override { return "TimedSave"; }

  void on_train_batch_end(L::Trainer& trainer, L::TrainableModule&, const L::StepOutput&,
                          const L::Batch&, std::int64_t index) override {
    trainer.expect_checkpoints();
    if (index < kSavedAt) return;
    const double start = now();
    trainer.save_checkpoint_in_background(file_, false, nullptr, nullptr);
    blocked.push_back(now() - start);
    trainer.finish_checkpoints();
    whole.push_back(now() - start);
  }

  std::vector<double> blocked;
  std::vector<double> whole;

 private:
  std::string file_;
};

class SaveTwice final : public L::Callback {
 public:
  explicit SaveTwice(fs::path folder) : folder_(std::move(folder)) {}
  std::string type_name() const override { return "SaveTwice"; }

  void on_train_batch_end(L::Trainer& trainer, L::TrainableModule&, const L::StepOutput&,
                          const L::Batch&, std::int64_t index) override {
    if (index == kSavedAt) trainer.save_checkpoint(folder_ / "first.ckpt");
    if (index == kSavedAt + 1) trainer.save_checkpoint(folder_ / "second.ckpt");
  }

 private:
  fs::path folder_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void fit(Wide& module, std::shared_ptr<L::Callback> saver, bool async,
         const std::string& accelerator = "cpu") {
  L::Trainer trainer({.accelerator = accelerator,
                      .logger = false,
                      .callbacks = {std::move(saver)},
                      .max_epochs = 1,
                      .enable_checkpointing = false,
                      .enable_progress_bar = false,
                      .enable_model_summary = false,
                      .async_checkpoint = async});
  trainer.fit(module);
}

void frozen(const fs::path& folder, std::int64_t parameters) {
  Wide module(parameters, true);
  fit(module, std::make_shared<SaveTwice>(folder), false);
  std::printf("%jd\n", static_cast<std::intmax_t>(module.trained_parameters() * 3 * 4));
}

void train(const fs::path& folder, std::int64_t parameters, const std::string& how) {
  Wide module(parameters);
  const auto saver = std::make_shared<TimedSave>(folder / "saved.ckpt");
  fit(module, saver, how != "sync", how == "gpu" ? "gpu" : "cpu");
  std::printf("%.6f %.6f %ju\n", median(saver->blocked), median(saver->whole),
              static_cast<std::uintmax_t>(fs::file_size(folder / "saved.ckpt")));
}

void raw(const fs::path& folder, std::size_t bytes) {
  std::vector<char> data(bytes, 1);
  const std::string file = folder / "raw";
  const double start = now();
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::size_t done = 0;
  while (descriptor >= 0 && done < bytes) {
    const ssize_t written = write(descriptor, data.data() + done, bytes - done);
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  if (done < bytes || fsync(descriptor) != 0)
    throw std::runtime_error(file + ": cannot be written");
  close(descriptor);
  std::printf("%.6f\n", now() - start);
}

void copy(std::size_t bytes) {
  const std::vector<char> from(bytes, 1);
  std::vector<char> to(bytes, 2);
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const double start = now();
  at::parallel_for(0, static_cast<std::int64_t>((bytes + kPiece - 1) / kPiece), 4,
                   [&](std::int64_t begin, std::int64_t end) {
                     const std::size_t at = static_cast<std::size_t>(begin) * kPiece;
                     const std::size_t until =
                         std::min(bytes, static_cast<std::size_t>(end) * kPiece);
                     std::memcpy(to.data() + at, from.data() + at, until - at);
                   });
  std::printf("%.6f\n", now() - start);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() >= 3 && words[0] == "train") {
      return L::run_program(
          [&] { train(words[1], std::stoll(words[2]), words.size() > 3 ? words[3] : ""); });
    }
    if (words.size() == 3 && words[0] == "frozen")
      return L::run_program([&] { frozen(words[1], std::stoll(words[2])); });
    if (words.size() == 3 && words[0] == "raw") {
      raw(words[1], std::stoull(words[2]));
    } else if (words.size() == 2 && words[0] == "copy") {
      copy(std::stoull(words[1]));
    } else {
      throw std::runtime_error("usage: see the top of bench/saving.cc");
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "saving: %s\n", error.what());
    return 1;
  }
}
