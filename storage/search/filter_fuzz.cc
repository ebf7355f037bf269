// Filters and orders: what people and MLflow's clients search for.
#include <string>
#include <vector>

#include "storage/search/filter_parsing.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {
      "val/loss < 0.1 and hparams.lr > 1e-3",
      "metrics.`val/loss` >= -1.5E+3 AND params.\"a b\" != 'it''s'",
      "tags.team IN ('a', \"b\") AND status NOT IN ('FINISHED') AND name ILIKE '%x_'",
      "attributes.start_time > 1664067852747 and tags.`mlflow.parentRunId` is not null",
      "-val/acc",
      "`Run name` DESC",
  };
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // What is understood can be written down and means the same again.
  if (const auto filter = lctl::storage::parse_filter(text); filter.ok()) {
    const std::string written = to_text(*filter);
    if (written.size() <= lctl::storage::kMaxFilterBytes) {
      const auto again = lctl::storage::parse_filter(written);
      if (!again.ok() || *again != *filter) __builtin_trap();
    }
  }
  if (const auto order = lctl::storage::parse_order(text); order.ok()) {
    const auto again = lctl::storage::parse_order(to_text(*order));
    if (!again.ok() || *again != *order) __builtin_trap();
  }
  return 0;
}
