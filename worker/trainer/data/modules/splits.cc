#include "worker/trainer/data/modules/splits.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace lctl {
namespace {

std::shared_ptr<const Dataset> unless_empty(std::shared_ptr<const Dataset> part) {
  return part->size() > 0 ? std::move(part) : nullptr;
}

}  // namespace

void check(const SplitOptions& options) {
  const bool some_left = options.val_fraction >= 0 && options.test_fraction >= 0 &&
                         options.val_fraction + options.test_fraction < 1;
  if (some_left) return;
  throw std::invalid_argument(
      fmt::format("data.init_args.val_fraction, test_fraction: must be >= 0 and sum to less than "
                  "1, not {} and {}",
                  options.val_fraction, options.test_fraction));
}

DatasetSplits split(std::shared_ptr<const Dataset> whole, const SplitOptions& options) {
  const auto size = static_cast<double>(whole->size());
  const auto test = static_cast<std::int64_t>(size * options.test_fraction);
  const auto val = static_cast<std::int64_t>(size * options.val_fraction);
  const std::int64_t train = whole->size() - val - test;
  const auto parts = random_split(std::move(whole), {train, val, test}, options.split_seed);
  return {parts[0], unless_empty(parts[1]), unless_empty(parts[2])};
}

}  // namespace lctl
