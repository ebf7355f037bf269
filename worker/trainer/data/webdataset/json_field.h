// Numbers out of a sample's JSON file.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "worker/trainer/data/batch.h"

namespace lctl::webdataset {

// A number, or a list of numbers or of equally long such lists (at most 8 deep), is a tensor as
// torch.tensor() makes it: int64 when all are whole, else float32; an empty list has no numbers,
// shape [0]. Everything else stays text. Throws BadSample that begins with `name` for what is no
// JSON, and for whole numbers beyond 64 bits. Pure.
Batch decode_json(std::span<const std::byte> bytes, const std::string& name);

}  // namespace lctl::webdataset
