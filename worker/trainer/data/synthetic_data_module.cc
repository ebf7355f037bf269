#include "worker/trainer/data/synthetic_data_module.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "worker/trainer/data/map_data_loader.h"

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
  Batch get_batch(const BatchRequest& request) const override {
    if (static_cast<std::int64_t>(request.indices.size()) > limit_) {
      throw std::runtime_error(fmt::format(
          "DefaultCPUAllocator: can't allocate memory: you tried to allocate a batch of "
          "{} rows, memory_limit is {}",
          request.indices.size(), limit_));
    }
    return inner_->get_batch(request);
  }

 private:
  std::shared_ptr<const Dataset> inner_;
  std::int64_t limit_;
};

}  // namespace

SyntheticDataModule::SyntheticDataModule(SyntheticOptions options) : options_(std::move(options)) {
  static constexpr const char* kKinds[] = {"classification", "regression", "binary", "tokens"};
  for (const char* kind : kKinds) {
    if (options_.kind == kind) return;
  }
  throw std::invalid_argument(fmt::format(
      "kind '{}' is unknown; there are classification, regression, binary, tokens", options_.kind));
}

void SyntheticDataModule::setup(std::string_view /*stage*/) {
  if (all_ != nullptr) return;
  const std::int64_t samples = options_.num_train + options_.num_val + options_.num_test;
  all_ = std::make_shared<TensorDataset>(
      std::vector<at::Tensor>{make_x(options_, samples), make_y(options_, samples)});
}

std::shared_ptr<DataLoader> SyntheticDataModule::loader(std::int64_t first, std::int64_t count,
                                                        bool train) const {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  std::shared_ptr<const Dataset> part = std::make_shared<Subset>(all_, std::move(rows));
  if (options_.memory_limit.has_value()) {
    part = std::make_shared<LimitedDataset>(std::move(part), *options_.memory_limit);
  }
  MapDataLoader::Options loading;
  loading.batch_size =
      train ? options_.batch_size : options_.val_batch_size.value_or(options_.batch_size);
  loading.shuffle = train && options_.shuffle;
  loading.drop_last = train && options_.drop_last;
  loading.num_workers = options_.num_workers;
  return std::make_shared<MapDataLoader>(std::move(part), loading);
}

std::shared_ptr<DataLoader> SyntheticDataModule::train_dataloader() {
  return loader(0, options_.num_train, true);
}

std::vector<std::shared_ptr<DataLoader>> SyntheticDataModule::val_dataloader() {
  if (options_.num_val == 0) return {};
  return {loader(options_.num_train, options_.num_val, false)};
}

std::vector<std::shared_ptr<DataLoader>> SyntheticDataModule::test_dataloader() {
  if (options_.num_test == 0) return {};
  return {loader(options_.num_train + options_.num_val, options_.num_test, false)};
}

std::vector<std::shared_ptr<DataLoader>> SyntheticDataModule::predict_dataloader() {
  return options_.num_test > 0 ? test_dataloader() : val_dataloader();
}

}  // namespace lctl
