// Text as token ids: nanoGPT's train.bin, numbers without a header.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

enum class TokenWidth : std::uint8_t { kUint16 = 2, kUint32 = 4 };  // bytes, little endian

struct TokenOptions {
  std::int64_t block_size = 0;  // tokens of a sample, >= 1
  std::int64_t stride = 0;      // from one sample to the next; 0: block_size, 1: nanoGPT's
  TokenWidth width = TokenWidth::kUint16;
  std::optional<std::int64_t> vocab_size;  // ids are checked to be below it
  bool in_order = false;  // samples are asked for from front to back, so reading ahead pays
};

// Sample i is the list (x, y), int64 [block_size] each: x the tokens from i * stride on, y the same
// one further. Tokens stay in the mapped file, of any size. A larger id than vocab_size allows is a
// BadSample that names file, position and id. Thread rule: as Dataset.
class TokenDataset final : public Dataset {
 public:
  // Throws std::invalid_argument for impossible options, BadSample for a file that ends within a
  // token or is too short for one sample.
  TokenDataset(SharedBytes file, const TokenOptions& options);

  std::int64_t size() const override;
  Batch get(std::int64_t index, RandomStream& random) const override;
  void put_rows(const BatchRequest& request, BatchBuilder& batch) const override;
  std::size_t samples_at_once() const override;

  std::int64_t tokens() const { return tokens_; }

 private:
  void copy_sample(std::int64_t index, std::int64_t* x, std::int64_t* y) const;
  void check_ids(const std::int64_t* ids, std::int64_t count, std::int64_t first) const;

  SharedBytes file_;
  TokenOptions options_;
  std::int64_t tokens_ = 0;
  std::int64_t size_ = 0;
  std::array<BatchBuilder::Column, 2> columns_;  // x and y
};

}  // namespace lctl
