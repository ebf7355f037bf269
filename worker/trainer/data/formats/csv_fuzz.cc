// Tables from anywhere.
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/formats/csv_reader.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {"a,b,target\n1,2.5,0\n-3e2,nan,1\n", "\"a\",\"b \"\"c\"\"\"\r\n1,\"2\"\r\n\r\n", "x\n",
          "a,b\n,\n1,2\n3\n\n4,5\n"};
}

}  // namespace lctl::fuzz

namespace {

// Refused is as good as read; a table is whole.
void read(std::string_view text, const lctl::CsvParsing& parsing) {
  try {
    const lctl::CsvTable table = lctl::parse_csv(text, "data.csv", parsing);
    if (table.values.dim() != 2 || table.values.size(0) == 0 ||
        table.values.size(1) != static_cast<std::int64_t>(table.columns.size())) {
      __builtin_trap();
    }
  } catch (const lctl::BadSample&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  lctl::SkippedSamples skipped;
  read(text, {.max_rows = 100});
  read(text, {.finite = true, .skipped = &skipped, .piece_size = 4});
  return 0;
}
