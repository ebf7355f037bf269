#include "worker/trainer/data/images/image_rows.h"

#include <cstdint>
#include <optional>
#include <utility>

namespace lctl {

void put_image(BatchBuilder& batch, std::size_t row, Batch::List sample, std::size_t image,
               std::string_view bytes, const std::string& name, const DecodeOptions& options) {
  const auto memory = [&](std::int64_t channels, std::int64_t height, std::int64_t width) {
    return static_cast<std::uint8_t*>(
        batch.put_around(row, sample, image, {{channels, height, width}, at::kByte}));
  };
  std::optional<at::Tensor> own = decode_image_into(memory, bytes, name, options);
  if (!own) return batch.mark(row, 1);
  sample[image] = *std::move(own);
  batch.put(row, std::move(sample));
}

}  // namespace lctl
