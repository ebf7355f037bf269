// How WebDataset reads the names in a shard.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lctl::webdataset {

struct MemberName {
  std::string key;        // "train/000017" of "train/000017.seg.PNG"
  std::string extension;  // "seg.png": behind the first dot of the last part, in small letters
};

// The same as webdataset's base_plus_ext; nothing for a name without an extension. Letters outside
// ASCII keep their case. Pure.
std::optional<MemberName> split_member_name(std::string_view name);

// Members that describe the shard and belong to no sample: "__meta__", "__index__/list". Pure.
bool is_meta_name(std::string_view name);

// A name from a file as a message can show it: not too long, no control characters, UTF-8.
std::string shown(std::string_view name);

}  // namespace lctl::webdataset
