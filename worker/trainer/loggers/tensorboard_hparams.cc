#include "worker/trainer/loggers/tensorboard_hparams.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdint>
#include <sstream>

#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

constexpr const char* kPlugin = "hparams";

// Python's repr(): what str() shows of values inside a list or a dictionary.
std::string repr(const Value& value);

std::string joined_repr(const std::vector<Value>& items) {
  std::string text;
  for (const Value& item : items) text += (text.empty() ? "" : ", ") + repr(item);
  return text;
}

std::string tensor_repr(const at::Tensor& tensor) {
  std::ostringstream text;
  text << "tensor of shape " << tensor.sizes();
  return text.str();
}

std::string repr(const Value& value) {
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.as_bool() ? "True" : "False";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_double()) return python_repr(value.as_double());
  if (value.is_string()) return python_repr(value.as_string());
  if (value.is_tensor()) return tensor_repr(value.as_tensor());
  if (value.is_list()) return "[" + joined_repr(value.as_list()) + "]";
  if (value.is_tuple()) {
    const std::vector<Value>& items = value.as_tuple().items;
    return "(" + joined_repr(items) + (items.size() == 1 ? ",)" : ")");
  }
  std::string text;
  for (const auto& [key, item] : value.as_dict().entries())
    text += (text.empty() ? "" : ", ") + repr(key) + ": " + repr(item);
  return "{" + text + "}";
}

bool all_dicts(const List& items) {
  for (const Value& item : items) {
    if (!item.is_dict()) return false;
  }
  return true;
}

void flatten(const Dict& hparams, const std::string& parent, Dict& flat) {
  for (const auto& [key, value] : hparams.entries()) {
    const std::string name = key.is_string() ? key.as_string() : repr(key);
    const std::string path = parent.empty() ? name : parent + "/" + name;
    if (value.is_dict()) {
      flatten(value.as_dict(), path, flat);
    } else if (value.is_list() && all_dicts(value.as_list())) {
      std::size_t index = 0;
      for (const Value& item : value.as_list())
        flatten(item.as_dict(), fmt::format("{}/{}", path, index++), flat);
    } else {
      const bool plain =
          value.is_bool() || value.is_int() || value.is_double() || value.is_string() ||
          (value.is_tensor() && value.as_tensor().dim() <= 1 && value.as_tensor().numel() > 0);
      flat.set(path, plain ? value : Value(repr(value)));
    }
  }
}

tensorboard::Summary summary(std::string_view tag, const tensorboard::HParamsPluginData& data) {
  tensorboard::Summary summary;
  tensorboard::Summary::Value& value = *summary.add_value();
  value.set_tag(std::string(tag));
  auto& plugin = *value.mutable_metadata()->mutable_plugin_data();
  plugin.set_plugin_name(kPlugin);
  plugin.set_content(data.SerializeAsString());
  return summary;
}

double number(const Value& value) {
  if (value.is_bool()) return value.as_bool() ? 1 : 0;
  if (value.is_tensor()) return value.as_tensor().flatten()[0].item<double>();
  return value.as_double();
}

}  // namespace

Dict flat_hparams(const Dict& hparams) {
  Dict flat;
  flatten(hparams, "", flat);
  return flat;
}

std::vector<tensorboard::Summary> hparams_summaries(const Dict& hparams,
                                                    std::span<const std::string_view> metrics) {
  tensorboard::HParamsPluginData experiment;
  tensorboard::HParamsPluginData start;
  tensorboard::HParamsPluginData end;
  auto& values = *start.mutable_session_start_info()->mutable_hparams();
  for (const auto& [key, value] : hparams.entries()) {
    tensorboard::HParamInfo& info = *experiment.mutable_experiment()->add_hparam_infos();
    info.set_name(key.as_string());
    if (value.is_string()) {
      info.set_type(tensorboard::HParamInfo::DATA_TYPE_STRING);
      values[key.as_string()].set_string_value(value.as_string());
    } else {
      info.set_type(tensorboard::HParamInfo::DATA_TYPE_FLOAT64);
      values[key.as_string()].set_number_value(number(value));
    }
  }
  for (const std::string_view metric : metrics) {
    auto& info = *experiment.mutable_experiment()->add_metric_infos();
    info.mutable_name()->set_tag(std::string(metric));
  }
  end.mutable_session_end_info()->set_status(tensorboard::SessionEndInfo::STATUS_SUCCESS);
  return {summary("_hparams_/experiment", experiment),
          summary("_hparams_/session_start_info", start),
          summary("_hparams_/session_end_info", end)};
}

}  // namespace lctl
