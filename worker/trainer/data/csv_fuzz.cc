// Tables from anywhere.
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/csv_reader.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {"a,b,target\n1,2.5,0\n-3e2,nan,1\n", "\"a\",\"b \"\"c\"\"\"\r\n1,\"2\"\r\n\r\n", "x\n"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const lctl::CsvTable table =
        lctl::parse_csv({reinterpret_cast<const char*>(data), size}, "data.csv", 100);
    if (table.values.dim() != 2 ||
        table.values.size(1) != static_cast<std::int64_t>(table.columns.size())) {
      __builtin_trap();
    }
  } catch (const std::runtime_error&) {
    return 0;  // refused
  }
  return 0;
}
