#include "worker/trainer/data/modules/synthetic_data_module.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <utility>

namespace lctl {
namespace {

// The formula's integer for sample i, feature j.
std::int64_t u(std::int64_t i, std::int64_t j) {
  return ((i + 1) * (i + 7) * 31 + (i + 3) * (j + 1) * 7919 + (j + 5) * (j + 5) * 17) % 2003;
}

std::int64_t class_of(std::int64_t i, const SyntheticOptions& options) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(options.num_classes), 0);
  for (std::int64_t j = 0; j < options.num_features; ++j) {
    sums[static_cast<std::size_t>(j % options.num_classes)] += u(i, j);
  }
  std::size_t best = 0;
  for (std::size_t k = 1; k < sums.size(); ++k) {
    if (sums[k] > sums[best]) best = k;
  }
  return static_cast<std::int64_t>(best);
}

double regression_target(std::int64_t i, std::int64_t features) {
  std::int64_t sum = 0;
  for (std::int64_t j = 0; j < features; ++j) sum += ((j % 3) - 1) * u(i, j);
  return static_cast<double>(sum) / (1001.0 * static_cast<double>(features)) + 0.25;
}

bool binary_target(std::int64_t i, std::int64_t features) {
  std::int64_t even = 0;
  std::int64_t odd = 0;
  for (std::int64_t j = 0; j < features; ++j) (j % 2 == 0 ? even : odd) += u(i, j);
  return even > odd;
}

at::Tensor make_x(const SyntheticOptions& options, std::int64_t samples) {
  const std::int64_t features = options.num_features;
  const bool tokens = options.kind == "tokens";
  at::Tensor x =
      at::empty({samples, features}, at::TensorOptions().dtype(tokens ? at::kLong : at::kFloat));
  for (std::int64_t i = 0; i < samples; ++i) {
    for (std::int64_t j = 0; j < features; ++j) {
      if (tokens) {
        x.mutable_data_ptr<std::int64_t>()[i * features + j] = u(i, j) % options.vocab_size;
      } else {
        const bool nan = options.nan_index == i;
        x.mutable_data_ptr<float>()[i * features + j] =
            nan ? std::numeric_limits<float>::quiet_NaN()
                : static_cast<float>(static_cast<double>(u(i, j)) / 1001.0 - 1.0);
      }
    }
  }
  if (options.reshape.empty()) return x;
  std::vector<std::int64_t> shape = options.reshape;
  shape.insert(shape.begin(), samples);
  return x.view(shape);
}

at::Tensor make_y(const SyntheticOptions& options, std::int64_t samples) {
  const std::int64_t features = options.num_features;
  if (options.kind == "classification" || options.kind == "tokens") {
    at::Tensor y = at::empty({samples}, at::TensorOptions().dtype(at::kLong));
    for (std::int64_t i = 0; i < samples; ++i) {
      y.mutable_data_ptr<std::int64_t>()[i] =
          options.kind == "tokens"
              ? (u(i, 0) % options.vocab_size + u(i, 1) % options.vocab_size) % options.num_classes
              : class_of(i, options);
    }
    return y;
  }
  at::Tensor y = at::empty({samples, 1}, at::TensorOptions().dtype(at::kFloat));
  for (std::int64_t i = 0; i < samples; ++i) {
    y.mutable_data_ptr<float>()[i] = options.kind == "regression"
                                         ? static_cast<float>(regression_target(i, features))
                                         : (binary_target(i, features) ? 1.0F : 0.0F);
  }
  return y;
}

// Fails for large batches the way the CPU's allocator does, so that a search for the largest one
// has something to find.
class LimitedDataset final : public Dataset {
 public:
  LimitedDataset(std::shared_ptr<const Dataset> inner, std::int64_t limit)
      : inner_(std::move(inner)), limit_(limit) {}
  std::int64_t size() const override { return inner_->size(); }
  Batch get(std::int64_t index, RandomStream& random) const override {
    return inner_->get(index, random);
  }
  void put_rows(const BatchRequest& request, BatchBuilder& batch) const override {
    if (static_cast<std::int64_t>(batch.rows()) > limit_) {
      throw std::runtime_error(fmt::format(
          "DefaultCPUAllocator: can't allocate memory: you tried to allocate a batch of "
          "{} rows, memory_limit is {}",
          batch.rows(), limit_));
    }
    inner_->put_rows(request, batch);
  }
  std::size_t samples_at_once() const override { return inner_->samples_at_once(); }

 private:
  std::shared_ptr<const Dataset> inner_;
  std::int64_t limit_;
};

// Samples that take their time; what is slow is waiting, as for a disk or a network.
class SlowDataset final : public Dataset {
 public:
  SlowDataset(std::shared_ptr<const Dataset> inner, double seconds_per_sample)
      : inner_(std::move(inner)), seconds_per_sample_(seconds_per_sample) {}
  std::int64_t size() const override { return inner_->size(); }
  Batch get(std::int64_t index, RandomStream& random) const override {
    wait_for(1);
    return inner_->get(index, random);
  }
  void put_rows(const BatchRequest& request, BatchBuilder& batch) const override {
    wait_for(request.indices.size());
    inner_->put_rows(request, batch);
  }

 private:
  void wait_for(std::size_t samples) const {
    std::this_thread::sleep_for(
        std::chrono::duration<double>(seconds_per_sample_ * static_cast<double>(samples)));
  }

  std::shared_ptr<const Dataset> inner_;
  double seconds_per_sample_;
};

}  // namespace

SyntheticDataModule::SyntheticDataModule(SyntheticOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {
  static constexpr const char* kKinds[] = {"classification", "regression", "binary", "tokens"};
  for (const char* kind : kKinds) {
    if (options_.kind == kind) return;
  }
  throw std::invalid_argument(fmt::format(
      "kind '{}' is unknown; there are classification, regression, binary, tokens", options_.kind));
}

DatasetSplits SyntheticDataModule::load() {
  const std::int64_t samples = options_.num_train + options_.num_val + options_.num_test;
  const auto all = std::make_shared<TensorDataset>(
      std::vector<at::Tensor>{make_x(options_, samples), make_y(options_, samples)});
  const auto part = [&](std::int64_t first, std::int64_t count) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), first);
    std::shared_ptr<const Dataset> samples_of_part = std::make_shared<Subset>(all, std::move(rows));
    if (options_.memory_limit.has_value())
      samples_of_part =
          std::make_shared<LimitedDataset>(std::move(samples_of_part), *options_.memory_limit);
    if (options_.seconds_per_sample > 0)
      samples_of_part =
          std::make_shared<SlowDataset>(std::move(samples_of_part), options_.seconds_per_sample);
    return samples_of_part;
  };
  DatasetSplits splits;
  splits.train = part(0, options_.num_train);
  if (options_.num_val > 0) splits.val = part(options_.num_train, options_.num_val);
  if (options_.num_test > 0)
    splits.test = part(options_.num_train + options_.num_val, options_.num_test);
  return splits;
}

}  // namespace lctl
