#include "worker/trainer/trainer/rank_states.h"

#include <c10/core/CPUAllocator.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "worker/trainer/checkpoint/pickle_reader.h"
#include "worker/trainer/checkpoint/pickle_writer.h"

namespace lctl {
namespace {

void put(std::string& out, const void* data, std::uint64_t size) {
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(static_cast<const char*>(data), size);
}

std::string_view take(std::string_view& in) {
  std::uint64_t size = 0;
  if (in.size() < sizeof size) throw std::runtime_error("a rank's state is cut short");
  std::memcpy(&size, in.data(), sizeof size);
  in.remove_prefix(sizeof size);
  if (in.size() < size) throw std::runtime_error("a rank's state is cut short");
  const std::string_view part = in.substr(0, size);
  in.remove_prefix(size);
  return part;
}

}  // namespace

std::string pack(const checkpoint::Value& value) {
  const checkpoint::Pickled pickled = checkpoint::pickle(value);
  std::string out;
  put(out, pickled.bytes.data(), pickled.bytes.size());
  for (const at::Tensor& storage : pickled.storages) {
    const at::Tensor of_host = storage.cpu();  // itself, unless it is on a device
    put(out, of_host.const_data_ptr(), static_cast<std::uint64_t>(of_host.nbytes()));
  }
  return out;
}

checkpoint::Value unpack(std::string_view bytes) {
  const std::string_view pickle = take(bytes);
  std::vector<std::string_view> storages;
  while (!bytes.empty()) storages.push_back(take(bytes));
  return checkpoint::unpickle(pickle, [&storages](const std::string& key, std::size_t size) {
    std::size_t index = storages.size();
    std::from_chars(key.data(), key.data() + key.size(), index);
    if (index >= storages.size() || storages[index].size() != size)
      throw std::runtime_error("a rank's state names unknown data");
    c10::Storage storage(c10::Storage::use_byte_size_t(), size, c10::GetCPUAllocator(),
                         /*resizable=*/false);
    std::memcpy(storage.mutable_data(), storages[index].data(), size);
    return storage;
  });
}

}  // namespace lctl
