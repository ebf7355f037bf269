#include "storage/tracking/text_map.h"

#include <nlohmann/json.hpp>

namespace lctl::storage {

std::string pack_map(const Tags& map) {
  return nlohmann::json(map).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Tags unpack_map(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Tags map;
  if (!json.is_object()) return map;
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) map.emplace(key, value.get<std::string>());
  }
  return map;
}

}  // namespace lctl::storage
