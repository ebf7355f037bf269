#include "worker/trainer/data/fetch/cache_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxValidator = 1024;
constexpr std::size_t kMaxText = 16384;

std::string text(const json& object) {
  // Bytes that are no UTF-8 are replaced; they can only be in texts for people.
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

json parsed(std::string_view bytes) {
  if (bytes.size() > kMaxRecordSize) return nullptr;
  // Nothing of ours is nested; what is would only cost stack.
  if (std::count_if(bytes.begin(), bytes.end(), [](char c) { return c == '[' || c == '{'; }) > 8)
    return nullptr;
  return json::parse(bytes, nullptr, /*allow_exceptions=*/false);
}

std::optional<std::string> get_text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  std::string value = found->get<std::string>();
  if (value.size() > kMaxText) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> get_size(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::optional<std::int64_t> get_time(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  return found->get<std::int64_t>();
}

std::optional<std::string> get_sha256(const json& object) {
  std::optional<std::string> value = get_text(object, "sha256");
  if (!value || value->size() != 64 || !std::all_of(value->begin(), value->end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      }))
    return std::nullopt;
  return value;
}

Validators get_validators(const json& object) {
  return {as_validator(get_text(object, "etag").value_or("")),
          as_validator(get_text(object, "last_modified").value_or(""))};
}

}  // namespace

std::string Validators::strong() const {
  return !etag.empty() && etag.substr(0, 2) != "W/" ? etag : last_modified;
}

std::string as_validator(std::string_view value) {
  const bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  return printable && value.size() <= kMaxValidator ? std::string(value) : std::string();
}

std::string to_json(const UrlRecord& record) {
  return text({{"url", record.url},
               {"sha256", record.sha256},
               {"size", record.size},
               {"etag", record.validators.etag},
               {"last_modified", record.validators.last_modified},
               {"checked_micros", record.checked_micros}});
}

std::string to_json(const PartialRecord& record) {
  json object = {{"etag", record.validators.etag},
                 {"last_modified", record.validators.last_modified},
                 {"boot_id", record.boot_id}};
  if (record.total) object["total"] = *record.total;
  return text(object);
}

std::string to_json(const FileRecord& record) {
  return text({{"size", record.size},
               {"modified_nanos", record.modified_nanos},
               {"inode", record.inode},
               {"sha256", record.sha256}});
}

std::optional<UrlRecord> parse_url_record(std::string_view bytes) {
  const json object = parsed(bytes);
  if (!object.is_object()) return std::nullopt;
  const auto url = get_text(object, "url");
  const auto sha256 = get_sha256(object);
  const auto size = get_size(object, "size");
  const auto checked = get_time(object, "checked_micros");
  if (!url || !sha256 || !size || !checked) return std::nullopt;
  return UrlRecord{*url, *sha256, *size, get_validators(object), *checked};
}

std::optional<PartialRecord> parse_partial_record(std::string_view bytes) {
  const json object = parsed(bytes);
  if (!object.is_object()) return std::nullopt;
  const auto boot_id = get_text(object, "boot_id");
  if (!boot_id || (object.contains("total") && !get_size(object, "total"))) return std::nullopt;
  return PartialRecord{get_validators(object), get_size(object, "total"), *boot_id};
}

std::optional<FileRecord> parse_file_record(std::string_view bytes) {
  const json object = parsed(bytes);
  if (!object.is_object()) return std::nullopt;
  const auto size = get_size(object, "size");
  const auto modified = get_time(object, "modified_nanos");
  const auto inode = get_size(object, "inode");
  const auto sha256 = get_sha256(object);
  if (!size || !modified || !inode || !sha256) return std::nullopt;
  return FileRecord{*size, *modified, *inode, *sha256};
}

}  // namespace lctl
