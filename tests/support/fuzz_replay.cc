// The main program of a fuzz target in an ordinary build. Without arguments: tries the seeds, every
// way to cut them short (at most 500 each), and some thousand changed ones, the same in every run.
//   --write-seeds DIR   writes the seeds as files: the first corpus of libFuzzer
#include <algorithm>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fuzz.h"

namespace {

constexpr int kChangesOfEachSeed = 1000;

void try_input(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string changed(std::string input, std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return limit == 0 ? 0 : random() % limit; };
  for (std::size_t i = 1 + below(4); i > 0; --i) {
    const std::size_t at = below(input.size() + 1);
    const std::size_t size = std::min<std::size_t>(below(16), input.size() - at);
    switch (below(5)) {
      case 0:  // another byte
        if (at < input.size()) input[at] = static_cast<char>(random());
        break;
      case 1:  // one bit
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 2:  // bytes lost
        input.erase(at, size);
        break;
      case 3:  // bytes twice
        input.insert(below(input.size() + 1), input.substr(at, size));
        break;
      default:  // an extreme length
        for (std::size_t j = at; j < std::min(at + 4, input.size()); ++j) {
          input[j] = below(2) == 0 ? '\xff' : '\0';
        }
    }
  }
  return input;
}

int write_seeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : lctl::fuzz::seeds()) {
    std::ofstream(folder + "/seed" + std::to_string(number++), std::ios::binary) << seed;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--write-seeds") return write_seeds(argv[2]);
  const std::vector<std::string> seeds = lctl::fuzz::seeds();
  if (seeds.empty()) {
    std::cerr << "there is no seed\n";
    return 1;
  }
  std::mt19937 random(1);
  for (const std::string& seed : seeds) {
    try_input(seed);
    const std::size_t step = 1 + seed.size() / 500;
    for (std::size_t size = 0; size < seed.size(); size += step) try_input(seed.substr(0, size));
    for (int i = 0; i < kChangesOfEachSeed; ++i) try_input(changed(seed, random));
  }
  std::cout << seeds.size() << " seeds and their neighbours\n";
  return 0;
}
