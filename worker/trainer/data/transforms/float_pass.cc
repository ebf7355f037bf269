#include "worker/trainer/data/transforms/float_pass.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "worker/trainer/data/transforms/orientation.h"

namespace lctl::transforms {
namespace {

at::Tensor apply_all(const std::vector<TransformPtr>& steps, at::Tensor image,
                     RandomStream& random) {
  for (const TransformPtr& step : steps) image = step->apply(image, random);
  return image;
}

// One row of one channel.
void look_up(const std::uint8_t* in, std::int64_t stride, const float* table, std::int64_t count,
             float* out) {
  for (std::int64_t x = 0; x < count; ++x, in += stride) out[x] = table[*in];
}

}  // namespace

FloatPass::FloatPass(std::vector<TransformPtr> steps) : steps_(std::move(steps)) {
  RandomStream unused(0, 0, 0);
  const bool flips = dynamic_cast<const RandomHorizontalFlip*>(steps_.front().get()) != nullptr;
  const std::vector<TransformPtr> per_value(steps_.begin() + (flips ? 1 : 0), steps_.end());
  for (const std::int64_t channels : {1, 3, 4}) {
    const at::Tensor all = at::arange(256, at::kByte).expand({channels, 1, 256}).contiguous();
    at::Tensor values;
    try {
      values = apply_all(per_value, all, unused).contiguous();
    } catch (const std::runtime_error&) {
      continue;  // a mean of another count of channels: apply() will say so
    }
    if (values.scalar_type() != at::kFloat || values.numel() != channels * 256) continue;
    std::vector<Table>& tables = tables_[static_cast<std::size_t>(channels)];
    tables.resize(static_cast<std::size_t>(channels));
    const float* from = values.data_ptr<float>();
    for (Table& table : tables) {
      std::copy_n(from, table.size(), table.begin());
      from += table.size();
    }
  }
}

at::Tensor FloatPass::apply(const at::Tensor& image, RandomStream& random) const {
  const bool fits = image.dim() == 3 && image.scalar_type() == at::kByte &&
                    image.size(0) <= kMaxChannels &&
                    !tables_[static_cast<std::size_t>(image.size(0))].empty();
  if (!fits) return apply_all(steps_, image, random);
  const std::vector<Table>& tables = tables_[static_cast<std::size_t>(image.size(0))];
  const auto* const flip = dynamic_cast<const RandomHorizontalFlip*>(steps_.front().get());
  const bool flipped = flip != nullptr && flip->draw(random);

  const std::int64_t height = image.size(1);
  const std::int64_t width = image.size(2);
  at::Tensor out = at::empty(image.sizes(), at::kFloat);
  float* to = out.data_ptr<float>();
  const std::uint8_t* const from = image.const_data_ptr<std::uint8_t>();
  const std::int64_t step = flipped ? -image.stride(2) : image.stride(2);
  const std::int64_t first = flipped ? (width - 1) * image.stride(2) : 0;
  for (std::size_t c = 0; c < tables.size(); ++c) {
    for (std::int64_t y = 0; y < height; ++y, to += width) {
      look_up(from + static_cast<std::int64_t>(c) * image.stride(0) + y * image.stride(1) + first,
              step, tables[c].data(), width, to);
    }
  }
  return out;
}

}  // namespace lctl::transforms
