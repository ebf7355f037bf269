// Bodies of any bytes, read field by field.
#include <cstdint>
#include <string>
#include <vector>

#include "server/mlflow/fields.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {
      R"({"run_id": "a", "metrics": [{"key": "k", "value": 1.5, "timestamp": 1, "step": "2"}]})",
      R"({"tags": [{"key": "a", "value": null}], "max_results": 1e3, "flag": "true"})",
      R"({"value": "NaN", "experiment_ids": ["0", 1]})",
      "[]",
      "{",
      ""};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const lctl::http::Request request{.method = "POST",
                                    .headers = {{"content-type", "application/json"}},
                                    .body = std::string(reinterpret_cast<const char*>(data), size)};
  const auto fields = lctl::mlflow::Fields::of(request);
  if (!fields.ok()) return 0;
  for (const char* name : {"run_id", "metrics", "tags", "value", "experiment_ids", "max_results",
                           "flag", "timestamp"}) {
    (void)fields->text(name);
    (void)fields->integer(name);
    (void)fields->number(name);
    (void)fields->flag_or(name, false);
    (void)fields->texts(name, 10);
    (void)fields->pairs(name, 10);
    const auto objects = fields->objects(name, 10);
    if (objects.ok() && objects->size() > 10) __builtin_trap();
  }
  return 0;
}
