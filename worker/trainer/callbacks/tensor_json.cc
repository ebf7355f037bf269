#include "worker/trainer/callbacks/tensor_json.h"

#include <cmath>
#include <vector>

#include "worker/trainer/callbacks/tensor_digest.h"

namespace lctl {

using Json = nlohmann::ordered_json;

Json json_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json json_of_tensor(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor wide = tensor.detach().cpu().contiguous().to(at::kDouble);
  Json item;
  item["name"] = name;
  item["dtype"] = dtype_name(tensor.scalar_type());
  item["shape"] = std::vector<std::int64_t>(tensor.sizes().begin(), tensor.sizes().end());
  item["sha256"] = tensor_sha256(tensor);
  item["sum"] = json_number(wide.sum().item().toDouble());
  item["l2"] = json_number(wide.norm().item().toDouble());
  return item;
}

Json json_of_state(const TrainableModule& module) {
  Json state = Json::array();
  for (const NamedTensor& item : module.state_list())
    state.push_back(json_of_tensor(item.name, item.tensor));
  return state;
}

}  // namespace lctl
