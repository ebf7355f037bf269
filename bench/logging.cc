// What bench/log_calls measures: a module that logs ten values in each training step.
//
// usage: logging KIND VALUES STEPS EVERY   nanoseconds of a call of log(), and of a whole step
//
// KIND: tensors (each a loss that is already there) or numbers. VALUES: 0 to 10 calls in a step.
// EVERY: log_every_n_steps. With LCTL_SPOOL the values go into that spool, as under an agent.
#include <ATen/ops/ones.h>

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/seconds.h"
#include "worker/trainer/lightning.h"

namespace L = lctl;

namespace {

using lctl::bench::now;

constexpr std::array<const char*, 10> kNames = {
    "train/loss",    "train/accuracy", "train/f1",    "train/precision", "train/recall",
    "train/grad_l2", "train/lr",       "train/scale", "train/tokens",    "train/perplexity"};

class Logging : public L::LightningModule {
 public:
  Logging(bool tensors, std::size_t values, std::int64_t steps)
      : tensors_(tensors), values_(values), steps_(steps) {
    weight_ = register_parameter("weight", at::ones({}));
  }

  L::StepOutput training_step(const L::Batch&, std::int64_t index) override {
    const at::Tensor loss = weight_ * 2;
    const at::Tensor value = loss.detach();
    // The first half warms up: buffers have their sizes then.
    const bool counts = index >= steps_ / 2;
    if (index == steps_ / 2) started = now();
    const double before = now();
    for (std::size_t i = 0; i < values_; ++i) {
      if (tensors_) {
        log(kNames[i], value);
      } else {
        log(kNames[i], static_cast<double>(index));
      }
    }
    if (counts) called += now() - before;
    return loss;
  }
  void on_train_batch_end(const L::StepOutput&, const L::Batch&, std::int64_t index) override {
    if (index == steps_ - 2) ended = now();
  }
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(
        std::make_shared<L::TensorDataset>(std::vector<at::Tensor>{at::ones({steps_, 1})}));
  }
  L::OptimizersConfig configure_optimizers() override {
    return L::make_optimizer<L::SGD>(parameters(), {.lr = 1e-6});
  }

  double called = 0;  // seconds in log(), in the second half
  double started = 0;
  double ended = 0;

 private:
  const bool tensors_;
  const std::size_t values_;
  const std::int64_t steps_;
  at::Tensor weight_;
};

void train(bool tensors, std::size_t values, std::int64_t steps, std::int64_t every) {
  Logging module(tensors, values, steps);
  L::Trainer trainer({.accelerator = "cpu",
                      .logger = false,
                      .max_epochs = 1,
                      .log_every_n_steps = every,
                      .enable_checkpointing = false,
                      .enable_progress_bar = false,
                      .enable_model_summary = false});
  trainer.fit(module);
  const auto counted = static_cast<double>(steps - steps / 2);
  const double calls = counted * static_cast<double>(values == 0 ? 1 : values);
  std::printf("%.2f %.2f\n", module.called / calls * 1e9,
              (module.ended - module.started) / (counted - 2) * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 4 || std::stoul(words[1]) > kNames.size() || std::stoll(words[2]) < 10) {
    std::fprintf(stderr, "logging: usage: see the top of bench/logging.cc\n");
    return 2;
  }
  return L::run_program([&] {
    train(words[0] == "tensors", std::stoul(words[1]), std::stoll(words[2]), std::stoll(words[3]));
  });
}
