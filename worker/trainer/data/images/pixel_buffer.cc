#include "worker/trainer/data/images/pixel_buffer.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/tensor_view.h"

namespace lctl {
namespace {

constexpr std::int64_t kMaxSlack = 4;
constexpr std::int64_t kMaxKept = std::int64_t{16} << 20;

}  // namespace

void check_dimensions(std::int64_t height, std::int64_t width, std::int64_t max_pixels,
                      const std::string& name) {
  if (height <= 0 || width <= 0)
    throw BadSample(fmt::format("{}: its size is {} x {} pixels", name, width, height));
  if (height > max_pixels / width) {
    throw BadSample(fmt::format("{}: {} x {} pixels are more than the limit of {}", name, width,
                                height, max_pixels));
  }
}

at::Tensor make_pixels(std::int64_t channels, std::int64_t height, std::int64_t width) {
  static thread_local at::Tensor kept;
  const std::int64_t size = channels * height * width;
  if (size > kMaxKept) return at::empty({height, width, channels}, at::kByte).permute({2, 0, 1});
  // Much larger memory is not handed out for a small image, which may be kept for long.
  const bool usable = kept.defined() && kept.storage().use_count() == 1 &&
                      kept.numel() >= size + kCachedOffset &&
                      kept.numel() <= kMaxSlack * (size + kCachedOffset);
  if (!usable) kept = at::empty({size + kCachedOffset}, at::kByte);
  return view_of(kept, {channels, height, width}, {1, width * channels, channels}, kCachedOffset);
}

}  // namespace lctl
