// Hyper-parameters as trainers report them, and job files.
#include <string>
#include <vector>

#include "storage/search/parameters.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {
      "lr: 1.0e-05\nlayers:\n- {class_path: torch.nn.Linear, out: 32}\n- relu\ndropout: null\n",
      "job: {name: x}\ntrainer: {max_epochs: 3}\nmodel: &m {a: 'b'}\ndata: *m\n? [x]\n: 1\n",
  };
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& all : {lctl::storage::flatten_yaml(text), lctl::storage::flatten_config(text)}) {
    if (all.size() > lctl::storage::kMaxParameters) __builtin_trap();
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (!(all[i - 1].key < all[i].key)) __builtin_trap();
    }
  }
  return 0;
}
