// The builders of all layers, by the name that a job file uses. One table a file, joined in
// layer_factory.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/models/layer.h"

namespace lctl::layers {

struct Entry {
  std::string_view name;  // torch.nn's class
  Layer (*build)(const jobspec::Arguments& arguments);
};

// Immutable; live for ever.
std::span<const Entry> activation_layers();
std::span<const Entry> linear_layers();  // and Embedding
std::span<const Entry> convolution_layers();
std::span<const Entry> normalization_layers();
std::span<const Entry> pooling_layers();
std::span<const Entry> recurrent_layers();
std::span<const Entry> transformer_layers();
std::span<const Entry> shape_layers();  // and Dropout: no parameters, no element-wise function

// ---- what the builders share

// A module without state: its name, and an operation that may depend on the mode.
Layer operation(std::string name, std::function<at::Tensor(const at::Tensor& x, bool training)> fn);
Layer operation(std::string name, std::function<at::Tensor(const at::Tensor& x)> fn);

// `count` numbers of an argument that may be one number for all. Throws std::invalid_argument.
std::vector<std::int64_t> sizes(const jobspec::Arguments& arguments, std::string_view name,
                                std::size_t count);
// The same; empty when the argument is null (a pool's stride).
std::vector<std::int64_t> optional_sizes(const jobspec::Arguments& arguments, std::string_view name,
                                         std::size_t count);

}  // namespace lctl::layers
