// Hugging Face's .safetensors files: a JSON header, then the tensors' bytes one behind the other.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/trainer/data/formats/array_file.h"
#include "worker/trainer/data/formats/array_layout.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

// Reads what the reference implementation reads, and refuses what it refuses: a header above 100
// MB, tensors that overlap, leave a hole or do not end where the file does, sizes that differ from
// the shape's. Tensors are views of the mapping. Errors are BadSample. Thread rule: as ArrayFile.
class SafetensorsFile final : public ArrayFile {
 public:
  explicit SafetensorsFile(SharedBytes file);
  std::vector<std::string> names() const override;  // in the order of their bytes
  at::Tensor get(std::string_view name) const override;

  // The header's `__metadata__`, as in the file.
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }

 private:
  struct Entry {
    std::string name;
    ArrayLayout layout;
    std::uint64_t offset = 0;  // in the file
    std::uint64_t size = 0;
  };
  SharedBytes file_;
  std::vector<Entry> entries_;  // in the order of their bytes
  std::unordered_map<std::string, std::size_t> by_name_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

}  // namespace lctl
