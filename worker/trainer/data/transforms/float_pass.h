// The end of nearly every pipeline in one pass over memory: flip, to float, normalise.
#pragma once

#include <array>
#include <vector>

#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// Does what `steps` do, one after the other: first perhaps a RandomHorizontalFlip, then what makes
// float32 of uint8, then perhaps a Normalize. A uint8 image of three dimensions comes out as a
// contiguous tensor: each of its 256 values is looked up in a table that the steps themselves have
// filled, so all bits are theirs. Other images go through the steps. Thread rule: immutable.
class FloatPass final : public Transform {
 public:
  explicit FloatPass(std::vector<TransformPtr> steps);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  static constexpr std::int64_t kMaxChannels = 4;
  using Table = std::array<float, 256>;

  std::vector<TransformPtr> steps_;
  // By the count of channels, one for each; empty where the steps refuse that count.
  std::array<std::vector<Table>, kMaxChannels + 1> tables_;
};

}  // namespace lctl::transforms
