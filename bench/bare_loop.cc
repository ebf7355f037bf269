// The floor of bench/step_overhead: a training loop in plain LibTorch, as somebody would write it
// who needs nothing else. Same models, data, seed and fused optimizers as the job files of
// step_overhead.py, so that it ends with the same loss to the last bit.
//
// usage: bare_loop MODEL STEPS_PER_EPOCH EPOCHS [phases]
// Prints microseconds a step over all epochs but the first, and the last step's loss; with `phases`
// also how many of them go into batch, forward pass, backward pass and optimizer.
#include <ATen/Context.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <malloc.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "worker/trainer/models/layers/transformer.h"

namespace {

namespace nn = torch::nn;

enum class Optimizer { kSgd, kAdam, kAdamW };

struct Model {
  std::int64_t features;
  std::int64_t classes;
  std::int64_t batch_size;
  std::vector<std::int64_t> shape;  // of one sample; empty = tokens
  Optimizer optimizer;
  double lr;
  void (*build)(nn::Sequential& net);
};

constexpr std::int64_t kVocabulary = 64;

lctl::layers::TransformerEncoderOptions encoder_options() {
  return {.d_model = 128, .nhead = 4, .dim_feedforward = 256, .dropout = 0.0, .batch_first = true};
}

// The first place of each sequence.
struct First : nn::Module {
  at::Tensor forward(const at::Tensor& x) { return x.select(1, 0); }
};

const std::map<std::string, Model>& models() {
  static const std::map<std::string, Model> all = {
      {"tiny MLP",
       {32,
        2,
        32,
        {32},
        Optimizer::kSgd,
        0.01,
        [](nn::Sequential& net) {
          net->push_back(nn::Linear(32, 64));
          net->push_back(nn::ReLU());
          net->push_back(nn::Linear(64, 2));
        }}},
      {"MNIST MLP",
       {784,
        10,
        64,
        {784},
        Optimizer::kAdam,
        1e-3,
        [](nn::Sequential& net) {
          net->push_back(nn::Linear(784, 512));
          net->push_back(nn::ReLU());
          net->push_back(nn::Linear(512, 256));
          net->push_back(nn::ReLU());
          net->push_back(nn::Linear(256, 10));
        }}},
      {"CNN",
       {784,
        10,
        64,
        {1, 28, 28},
        Optimizer::kAdam,
        1e-3,
        [](nn::Sequential& net) {
          net->push_back(nn::Conv2d(nn::Conv2dOptions(1, 16, 3).padding(1)));
          net->push_back(nn::ReLU());
          net->push_back(nn::MaxPool2d(2));
          net->push_back(nn::Conv2d(nn::Conv2dOptions(16, 32, 3).padding(1)));
          net->push_back(nn::ReLU());
          net->push_back(nn::MaxPool2d(2));
          net->push_back(nn::Flatten());
          net->push_back(nn::Linear(32 * 7 * 7, 10));
        }}},
      {"transformer",
       {32,
        10,
        16,
        {},
        Optimizer::kAdamW,
        1e-3,
        [](nn::Sequential& net) {
          net->push_back(nn::Embedding(kVocabulary, 128));
          for (int i = 0; i < 2; ++i) {
            net->push_back(
                std::make_shared<lctl::layers::TransformerEncoderLayer>(encoder_options()));
          }
          net->push_back(std::make_shared<First>());
          net->push_back(nn::Linear(128, 10));
        }}},
  };
  return all;
}

// The formulas of SyntheticDataModule.
std::int64_t u(std::int64_t i, std::int64_t j) {
  return ((i + 1) * (i + 7) * 31 + (i + 3) * (j + 1) * 7919 + (j + 5) * (j + 5) * 17) % 2003;
}

struct Data {
  at::Tensor x;
  at::Tensor y;
};

Data make_tokens(const Model& model, std::int64_t samples) {
  Data data{at::empty({samples, model.features}, at::kLong), at::empty({samples}, at::kLong)};
  for (std::int64_t i = 0; i < samples; ++i) {
    std::int64_t* const row = data.x.mutable_data_ptr<std::int64_t>() + i * model.features;
    for (std::int64_t j = 0; j < model.features; ++j) row[j] = u(i, j) % kVocabulary;
    data.y.mutable_data_ptr<std::int64_t>()[i] = (row[0] + row[1]) % model.classes;
  }
  return data;
}

Data make_data(const Model& model, std::int64_t samples) {
  if (model.shape.empty()) return make_tokens(model, samples);
  Data data{at::empty({samples, model.features}, at::kFloat), at::empty({samples}, at::kLong)};
  std::vector<std::int64_t> sums(static_cast<std::size_t>(model.classes));
  for (std::int64_t i = 0; i < samples; ++i) {
    std::fill(sums.begin(), sums.end(), 0);
    for (std::int64_t j = 0; j < model.features; ++j) {
      data.x.mutable_data_ptr<float>()[i * model.features + j] =
          static_cast<float>(static_cast<double>(u(i, j)) / 1001.0 - 1.0);
      sums[static_cast<std::size_t>(j % model.classes)] += u(i, j);
    }
    data.y.mutable_data_ptr<std::int64_t>()[i] =
        std::max_element(sums.begin(), sums.end()) - sums.begin();
  }
  std::vector<std::int64_t> shape{samples};
  shape.insert(shape.end(), model.shape.begin(), model.shape.end());
  data.x = data.x.reshape(shape);
  return data;
}

// torch.optim's optimizers with fused=True.
class Fused {
 public:
  Fused(Optimizer kind, double lr, std::vector<at::Tensor> params)
      : kind_(kind), lr_(lr), params_(std::move(params)) {
    if (kind_ == Optimizer::kSgd) return;
    for (const at::Tensor& param : params_) {
      averages_.push_back(at::zeros_like(param));
      squares_.push_back(at::zeros_like(param));
      steps_.push_back(at::zeros({}, at::kFloat));
    }
  }

  void zero_grad() {
    for (at::Tensor& param : params_) param.mutable_grad().reset();
  }

  void step() {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> grads;
    grads.reserve(params_.size());
    for (const at::Tensor& param : params_) grads.push_back(param.grad());
    if (kind_ == Optimizer::kSgd) {
      at::_fused_sgd_(params_, grads, {}, 0.0, 0.0, lr_, 0.0, false, false, false);
      return;
    }
    at::_foreach_add_(steps_, 1);
    if (kind_ == Optimizer::kAdam) {
      at::_fused_adam_(params_, grads, averages_, squares_, {}, steps_, lr_, 0.9, 0.999, 0.0, 1e-8,
                       false, false);
    } else {
      at::_fused_adamw_(params_, grads, averages_, squares_, {}, steps_, lr_, 0.9, 0.999, 0.01,
                        1e-8, false, false);
    }
  }

 private:
  Optimizer kind_;
  double lr_;
  std::vector<at::Tensor> params_, averages_, squares_, steps_;
};

using Clock = std::chrono::steady_clock;

// Time between marks, by phase. Does nothing when off: reading the clock takes time itself.
class Phases {
 public:
  explicit Phases(bool on) : on_(on) {}

  void start() {
    if (on_) last_ = Clock::now();
  }
  void end(std::size_t phase) {
    if (!on_) return;
    const Clock::time_point now = Clock::now();
    sums_[phase] += now - last_;
    last_ = now;
  }
  void reset() { sums_ = {}; }
  void print(std::int64_t steps) const {
    for (const auto& sum : sums_)
      if (on_) std::printf(" %.4f", Microseconds(sum).count() / static_cast<double>(steps));
  }

  using Microseconds = std::chrono::duration<double, std::micro>;

 private:
  bool on_;
  Clock::time_point last_;
  std::array<Clock::duration, 4> sums_{};
};

enum Phase : std::size_t { kBatch, kForward, kBackward, kOptimizer };

void train(const Model& model, std::int64_t steps_per_epoch, std::int64_t epochs,
           bool with_phases) {
  at::manual_seed(0);
  nn::Sequential net;
  model.build(net);
  const Data data = make_data(model, steps_per_epoch * model.batch_size);
  Fused optimizer(model.optimizer, model.lr, net->parameters());
  std::vector<std::int64_t> rows(static_cast<std::size_t>(model.batch_size));
  const at::Tensor indices = at::from_blob(rows.data(), {model.batch_size}, at::kLong);
  at::Tensor loss;
  Clock::time_point begin;
  Phases phases(with_phases);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    if (epoch == 1) {
      phases.reset();
      begin = Clock::now();
    }
    phases.start();
    for (std::int64_t step = 0; step < steps_per_epoch; ++step) {
      std::iota(rows.begin(), rows.end(), step * model.batch_size);
      const at::Tensor x = at::index_select(data.x, 0, indices);
      const at::Tensor y = at::index_select(data.y, 0, indices);
      phases.end(kBatch);
      loss = at::cross_entropy_loss(net->forward(x), y);
      phases.end(kForward);
      optimizer.zero_grad();
      loss.backward();
      phases.end(kBackward);
      optimizer.step();
      phases.end(kOptimizer);
    }
  }
  const Phases::Microseconds took = Clock::now() - begin;
  const std::int64_t steps = steps_per_epoch * (epochs - 1);
  std::printf("%.4f %.9g", took.count() / static_cast<double>(steps),
              static_cast<double>(*loss.const_data_ptr<float>()));
  phases.print(steps);
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  // As lctl-trainer does: freed memory is kept, or the CNN spends its time in page faults.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 16 << 20);
  const bool phases = argc == 5 && std::string(argv[4]) == "phases";
  const bool known = argc == 4 || phases;
  const auto found = known ? models().find(argv[1]) : models().end();
  const std::int64_t steps = known ? std::atoll(argv[2]) : 0;
  const std::int64_t epochs = known ? std::atoll(argv[3]) : 0;
  if (found == models().end() || steps < 1 || epochs < 2) {
    std::fprintf(stderr,
                 "usage: bare_loop MODEL STEPS_PER_EPOCH EPOCHS (at least 2) [phases]; models:");
    for (const auto& [name, unused] : models()) std::fprintf(stderr, " '%s'", name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  train(found->second, steps, epochs, phases);
  return 0;
}
