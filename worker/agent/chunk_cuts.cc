#include "worker/agent/chunk_cuts.h"

#include <algorithm>
#include <string_view>

namespace lctl::agent {
namespace {

// Gathers neighbouring stretches of the file into chunks.
class Cutter {
 public:
  // `alone`: shares no chunk with what comes before or after.
  void add(std::uint64_t bytes, bool alone) {
    if (alone || gathered_ + bytes > kMaxChunkBytes) cut();
    gathered_ += bytes;
    if (alone || gathered_ >= kOwnChunkBytes) cut();
  }
  void cut() {
    for (; gathered_ > 0; gathered_ -= sizes_.back())
      sizes_.push_back(std::min(gathered_, kMaxChunkBytes));
  }
  std::vector<std::uint64_t> sizes() {
    cut();
    return std::move(sizes_);
  }

 private:
  std::uint64_t gathered_ = 0;
  std::vector<std::uint64_t> sizes_;
};

}  // namespace

std::vector<std::uint64_t> chunk_sizes(std::uint64_t size, const std::optional<ZipLayout>& layout) {
  Cutter cutter;
  if (!layout.has_value()) {
    cutter.add(size, true);
    return cutter.sizes();
  }
  // Bytes before the first entry, if any, go with it.
  std::uint64_t begin = 0;
  std::uint64_t with_pickle = 0;  // length of the pickle while the entry behind it is looked at
  for (std::size_t i = 0; i < layout->entries.size(); ++i) {
    const bool last = i + 1 == layout->entries.size();
    const std::uint64_t end = last ? layout->directory : layout->entries[i + 1].offset;
    const std::uint64_t bytes = end - begin;
    if (with_pickle > 0) {
      cutter.add(with_pickle + bytes, true);
      with_pickle = 0;
    } else if (std::string_view(layout->entries[i].name).ends_with(".pkl") && !last) {
      cutter.cut();
      with_pickle = bytes;
    } else {
      cutter.add(bytes, bytes >= kOwnChunkBytes);
    }
    begin = end;
  }
  cutter.cut();
  cutter.add(size - begin, true);
  return cutter.sizes();
}

}  // namespace lctl::agent
