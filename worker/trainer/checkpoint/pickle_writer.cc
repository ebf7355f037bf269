#include "worker/trainer/checkpoint/pickle_writer.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include "worker/trainer/checkpoint/opcodes.h"
#include "worker/trainer/checkpoint/storage_types.h"

namespace lctl::checkpoint {
namespace {

class Pickler {
 public:
  Pickled run(const Value& value) {
    put(opcode::kProto);
    put('\x02');
    write(value, 0);
    put(opcode::kStop);
    return std::move(out_);
  }

 private:
  void put(char byte) { out_.bytes.push_back(byte); }

  void put_little_endian(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) put(static_cast<char>(value >> (8 * i)));
  }

  void write_string(std::string_view text) {
    if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
      throw std::invalid_argument("a string in a checkpoint is longer than 4 GiB");
    }
    put(opcode::kBinUnicode);
    put_little_endian(text.size(), 4);
    out_.bytes.append(text);
  }

  void write_int(std::int64_t value) {
    if (value >= 0 && value < 256) {
      put(opcode::kBinInt1);
      put_little_endian(static_cast<std::uint64_t>(value), 1);
    } else if (value >= 0 && value < 65536) {
      put(opcode::kBinInt2);
      put_little_endian(static_cast<std::uint64_t>(value), 2);
    } else if (value >= std::numeric_limits<std::int32_t>::min() &&
               value <= std::numeric_limits<std::int32_t>::max()) {
      put(opcode::kBinInt);
      put_little_endian(static_cast<std::uint64_t>(value), 4);
    } else {
      put(opcode::kLong1);
      put('\x08');
      put_little_endian(static_cast<std::uint64_t>(value), 8);
    }
  }

  void write_double(double value) {
    put(opcode::kBinFloat);
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) put(static_cast<char>(bits >> shift));
  }

  // Globals stand often: the second time, the memo's reference is enough.
  void write_global(std::string_view module, std::string_view name) {
    const std::string key = fmt::format("{}\n{}\n", module, name);
    const auto [entry, is_new] = memo_.emplace(key, memo_.size());
    const auto slot = static_cast<std::uint64_t>(entry->second);
    if (is_new) {
      put(opcode::kGlobal);
      out_.bytes.append(key);
    }
    if (slot < 256) {
      put(is_new ? opcode::kBinPut : opcode::kBinGet);
      put_little_endian(slot, 1);
    } else {
      put(is_new ? opcode::kLongBinPut : opcode::kLongBinGet);
      put_little_endian(slot, 4);
    }
  }

  void write_empty_ordered_dict() {
    write_global("collections", "OrderedDict");
    put(opcode::kEmptyTuple);
    put(opcode::kReduce);
  }

  void write_int_tuple(at::IntArrayRef values) {
    put(opcode::kMark);
    for (const std::int64_t value : values) write_int(value);
    put(opcode::kTuple);
  }

  // Index of the tensor's storage among the entries; equal storages get one entry.
  std::size_t storage_key(const at::Tensor& tensor) {
    const c10::Storage& storage = tensor.storage();
    const auto [entry, is_new] =
        storage_keys_.emplace(storage.unsafeGetStorageImpl(), out_.storages.size());
    if (is_new) {
      const auto bytes = static_cast<std::int64_t>(storage.nbytes());
      at::Tensor whole = at::empty({0}, tensor.options().dtype(at::kByte));
      whole.set_(storage, 0, {bytes}, {1});
      out_.storages.push_back(std::move(whole));
    }
    return entry->second;
  }

  void write_tensor(const at::Tensor& original) {
    if (!original.defined()) throw std::invalid_argument("an undefined tensor in a checkpoint");
    const at::Tensor tensor = original.detach();
    const std::string_view type = storage_class(tensor.scalar_type());
    if (type.empty() || tensor.layout() != at::kStrided) {
      throw std::invalid_argument(
          fmt::format("a tensor of type {} cannot be stored in a checkpoint",
                      c10::toString(tensor.scalar_type())));
    }
    const std::size_t key = storage_key(tensor);
    write_global("torch._utils", "_rebuild_tensor_v2");
    put(opcode::kMark);
    put(opcode::kMark);
    write_string("storage");
    write_global("torch", type);
    write_string(std::to_string(key));
    write_string("cpu");
    write_int(static_cast<std::int64_t>(tensor.storage().nbytes() / tensor.itemsize()));
    put(opcode::kTuple);
    put(opcode::kBinPersId);
    write_int(tensor.storage_offset());
    write_int_tuple(tensor.sizes());
    write_int_tuple(tensor.strides());
    put(original.requires_grad() && original.is_leaf() ? opcode::kNewTrue : opcode::kNewFalse);
    write_empty_ordered_dict();
    put(opcode::kTuple);
    put(opcode::kReduce);
  }

  void write_list(const List& list, int depth) {
    put(opcode::kEmptyList);
    if (list.empty()) return;
    put(opcode::kMark);
    for (const Value& item : list) write(item, depth);
    put(opcode::kAppends);
  }

  void write_tuple(const Tuple& tuple, int depth) {
    if (tuple.items.empty()) {
      put(opcode::kEmptyTuple);
      return;
    }
    put(opcode::kMark);
    for (const Value& item : tuple.items) write(item, depth);
    put(opcode::kTuple);
  }

  void write_dict(const Dict& dict, int depth) {
    if (dict.ordered) {
      write_empty_ordered_dict();
    } else {
      put(opcode::kEmptyDict);
    }
    if (dict.size() > 0) {
      put(opcode::kMark);
      for (const auto& [key, value] : dict.entries()) {
        write(key, depth);
        write(value, depth);
      }
      put(opcode::kSetItems);
    }
    if (dict.ordered && dict.metadata != nullptr) {
      // OrderedDict.__dict__.update({"_metadata": ...})
      put(opcode::kEmptyDict);
      write_string("_metadata");
      write_dict(*dict.metadata, depth);
      put(opcode::kSetItem);
      put(opcode::kBuild);
    }
  }

  void write(const Value& value, int depth) {
    if (depth > kMaxDepth) {
      throw std::invalid_argument(
          fmt::format("values in a checkpoint are nested deeper than {} levels", kMaxDepth));
    }
    if (value.is_none()) {
      put(opcode::kNone);
    } else if (value.is_bool()) {
      put(value.as_bool() ? opcode::kNewTrue : opcode::kNewFalse);
    } else if (value.is_int()) {
      write_int(value.as_int());
    } else if (value.is_double()) {
      write_double(value.as_double());
    } else if (value.is_string()) {
      write_string(value.as_string());
    } else if (value.is_tensor()) {
      write_tensor(value.as_tensor());
    } else if (value.is_list()) {
      write_list(value.as_list(), depth + 1);
    } else if (value.is_tuple()) {
      write_tuple(value.as_tuple(), depth + 1);
    } else {
      write_dict(value.as_dict(), depth + 1);
    }
  }

  Pickled out_;
  std::map<std::string, std::size_t> memo_;  // globals only
  std::unordered_map<const c10::StorageImpl*, std::size_t> storage_keys_;
};

}  // namespace

Pickled pickle(const Value& value) { return Pickler().run(value); }

}  // namespace lctl::checkpoint
