// Text as token ids in binary files: nanoGPT's train.bin and val.bin.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/modules/map_data_module.h"

namespace lctl {

// Names and defaults are those of the job file.
struct TokenDataOptions {
  std::string train;  // ids one behind the other, little-endian; a path or a URL
  std::optional<std::string> val;
  std::optional<std::string> test;
  std::int64_t block_size = 256;           // tokens of a sample
  std::optional<std::int64_t> stride;      // from one sample to the next; unset = block_size
  std::string dtype = "uint16";            // or uint32
  std::optional<std::int64_t> vocab_size;  // ids are checked against it
  LoadingOptions loading;
};

// Samples are (x, y), int64 [block_size] each, y one token further. Files are mapped.
class TokenDataModule final : public MapDataModule {
 public:
  explicit TokenDataModule(TokenDataOptions options);
  std::string type_name() const override { return "TokenDataModule"; }

 private:
  std::vector<std::string> inputs() const override;
  DatasetSplits load() override;

  TokenDataOptions options_;
};

}  // namespace lctl
