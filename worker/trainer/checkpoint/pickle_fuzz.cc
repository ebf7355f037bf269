// Checkpoints come from other programs: the pickle inside is read without executing anything.
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/checkpoint/pickle_reader.h"
#include "worker/trainer/checkpoint/pickle_writer.h"

namespace {

// Storages are made, not read: the file's own entries are checked elsewhere.
c10::Storage load(const std::string&, std::size_t bytes) {
  if (bytes > 1 << 20) throw std::runtime_error("larger than the file");
  return at::ones({static_cast<std::int64_t>(bytes)}, at::kByte).storage();
}

}  // namespace

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  using namespace checkpoint;
  Dict state;
  state.ordered = true;
  state.set("weight", Value(at::arange(6, at::kFloat).view({2, 3}).t()));
  state.set("bias", Value(at::ones({3}, at::kLong)));
  Dict root;
  root.set("state_dict", Value(state));
  root.set("epoch", Value(std::int64_t{3}));
  root.set("big", Value(std::int64_t{-1} << 40));
  root.set("lr", Value(0.1));
  root.set("none", Value(None{}));
  root.set("flags",
           Value(List{Value(true), Value("text"), Value(Tuple{{Value(std::int64_t{1})}})}));
  return {pickle(Value(root)).bytes, pickle(Value(List{})).bytes};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto value =
        lctl::checkpoint::unpickle({reinterpret_cast<const char*>(data), size}, load);
    // What was read can be written.
    static_cast<void>(lctl::checkpoint::pickle(value));
  } catch (const std::exception&) {
    return 0;  // refused
  }
  return 0;
}
