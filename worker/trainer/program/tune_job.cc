#include "worker/trainer/program/tune_job.h"

#include <fstream>
#include <limits>
#include <stdexcept>

#include "worker/trainer/callbacks/tensor_json.h"
#include "worker/trainer/tuner/tuner.h"

namespace lctl {
namespace {

using jobspec::Arguments;
using Json = nlohmann::ordered_json;

Json scale_batch_size(Tuner& tuner, TrainableModule& module, LightningDataModule& data,
                      const Arguments& arguments) {
  ScaleBatchSizeOptions options;
  options.mode = arguments.get_string("mode");
  options.steps_per_trial = arguments.get_int("steps_per_trial");
  options.init_val = arguments.get_int("init_val");
  options.max_trials = arguments.get_int("max_trials");
  options.batch_arg_name = arguments.get_string("batch_arg_name");
  options.margin = arguments.get_double("margin");
  options.max_val =
      arguments.get_optional_int("max_val").value_or(std::numeric_limits<std::int64_t>::max());
  const auto found = tuner.scale_batch_size(module, &data, std::move(options));
  return found ? Json(*found) : Json(nullptr);
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(json_number(value));
  return list;
}

Json lr_find(Tuner& tuner, TrainableModule& module, LightningDataModule& data,
             const Arguments& arguments) {
  LrFindOptions options;
  options.min_lr = arguments.get_double("min_lr");
  options.max_lr = arguments.get_double("max_lr");
  options.num_training = arguments.get_int("num_training");
  options.mode = arguments.get_string("mode");
  options.early_stop_threshold = arguments.get_optional_double("early_stop_threshold");
  const auto found = tuner.lr_find(module, &data, std::move(options));
  if (!found) return nullptr;
  const auto suggestion =
      found->suggestion(arguments.get_int("skip_begin"), arguments.get_int("skip_end"));
  Json result;
  result["suggestion"] = suggestion ? json_number(*suggestion) : Json(nullptr);
  result["lr"] = numbers(found->lr);
  result["loss"] = numbers(found->loss);
  return result;
}

}  // namespace

void tune(Trainer& trainer, TrainableModule& module, LightningDataModule& data,
          const jobspec::TuneSpec& spec) {
  Tuner tuner(trainer);
  Json result = Json::object();
  if (spec.scale_batch_size)
    result["scale_batch_size"] = scale_batch_size(tuner, module, data, *spec.scale_batch_size);
  if (spec.lr_find) result["lr_find"] = lr_find(tuner, module, data, *spec.lr_find);
  result["state"] = json_of_state(module);
  if (!trainer.is_global_zero()) return;
  std::ofstream file("tune.json");
  file << result.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("tune: cannot write tune.json");
}

}  // namespace lctl
