// Images decoded straight into their rows of a batch.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "worker/trainer/data/batch_builder.h"
#include "worker/trainer/data/images/decode_image.h"

namespace lctl {

// Makes `sample` that row of the batch; the part number `image` of it is still missing: it is
// decoded from `bytes`. The same as batch.put() of it with decode_image()'s tensor, but the pixels
// do not take a way around. Throws what decode_image() does. Any thread, as batch.put().
void put_image(BatchBuilder& batch, std::size_t row, Batch::List sample, std::size_t image,
               std::string_view bytes, const std::string& name, const DecodeOptions& options = {});

}  // namespace lctl
