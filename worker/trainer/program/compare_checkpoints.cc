#include "worker/trainer/program/compare_checkpoints.h"

#include <cmath>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "worker/trainer/checkpoint/comparison.h"
#include "worker/trainer/checkpoint/file.h"

namespace lctl {
namespace {

using Json = nlohmann::ordered_json;
using checkpoint::Difference;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json where(const checkpoint::Value& file) {
  Json json = {{"epoch", nullptr}, {"global_step", nullptr}};
  if (!file.is_dict()) return json;
  for (auto& [key, value] : json.items()) {
    const checkpoint::Value* found = file.as_dict().find(key);
    if (found != nullptr && found->is_int()) value = found->as_int();
  }
  return json;
}

Json to_json(const Difference& difference) {
  static constexpr const char* kKinds[] = {"changed", "only_first", "only_second"};
  Json tensor;
  if (difference.tensor.has_value()) {
    tensor = {{"elements", difference.tensor->elements},
              {"changed", difference.tensor->changed},
              {"largest", number(difference.tensor->largest)},
              {"relative", number(difference.tensor->relative)}};
  }
  return {{"path", difference.path},
          {"kind", kKinds[static_cast<int>(difference.kind)]},
          {"first", difference.first},
          {"second", difference.second},
          {"tensor", tensor}};
}

}  // namespace

ExitCode compare_checkpoints(const std::string& first, const std::string& second) {
  try {
    const checkpoint::Value a = checkpoint::read_file(first);
    const checkpoint::Value b = checkpoint::read_file(second);
    const checkpoint::Comparison comparison = checkpoint::compare(a, b);
    Json differences = Json::array();
    for (const Difference& each : comparison.differences) differences.push_back(to_json(each));
    const Json result = {{"first", where(a)},
                         {"second", where(b)},
                         {"equal",
                          {{"tensors", comparison.equal_tensors},
                           {"elements", comparison.equal_elements},
                           {"values", comparison.equal_values}}},
                         {"differences", differences}};
    std::puts(result.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return ExitCode::kSucceeded;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lctl-trainer: error: %s\n", error.what());
    return ExitCode::kFailed;
  }
}

}  // namespace lctl
