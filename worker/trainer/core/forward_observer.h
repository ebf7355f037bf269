// Watching forward passes: what Python has forward hooks for, and LibTorch has not.
#pragma once

#include <torch/nn/module.h>

#include <utility>

#include "worker/trainer/data/batch.h"

namespace lctl {

// Told of each call of a module that reports its calls: those of declarative models
// (`models/net.h`) do. Thread rule: one strand only (the thread that runs the forward pass).
class ForwardObserver {
 public:
  virtual ~ForwardObserver() = default;

  virtual void entered(const torch::nn::Module& module) = 0;
  // Input and output as Python passes them: several arguments and tuples are lists.
  virtual void left(const torch::nn::Module& module, const Batch& input, const Batch& output) = 0;
  // Whether the modules inside of layers are watched too. torch then goes without the fused kernel
  // of a transformer layer, and so do ours.
  virtual bool looks_inside_layers() const = 0;
};

namespace observation {

// Of this thread; null nearly always.
inline thread_local ForwardObserver* current = nullptr;

// Runs `call`, and reports it when somebody watches.
template <typename Call>
auto reported(const torch::nn::Module& module, const Batch& input, Call&& call) {
  if (current == nullptr) return call();
  current->entered(module);
  auto output = call();
  current->left(module, input, Batch(output));
  return output;
}

}  // namespace observation

// Installs an observer for its own life. Thread rule: one strand only.
class ForwardObservation {
 public:
  explicit ForwardObservation(ForwardObserver& observer)
      : before_(std::exchange(observation::current, &observer)) {}
  ~ForwardObservation() { observation::current = before_; }
  ForwardObservation(const ForwardObservation&) = delete;
  ForwardObservation& operator=(const ForwardObservation&) = delete;

 private:
  ForwardObserver* before_;
};

}  // namespace lctl
