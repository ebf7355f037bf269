// Patterns with braces, from job files of anybody.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/webdataset/brace_expansion.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {"train-{000000..000123}.tar", "{a,b{1..2},{x..z..2}}/\\{c\\}{,.d}", "{2..-1}{}{07..10}"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    if (lctl::webdataset::expand_braces({reinterpret_cast<const char*>(data), size}).size() >
        1'000'000)
      __builtin_trap();
  } catch (const lctl::MisconfigurationException&) {
    return 0;  // refused
  }
  return 0;
}
