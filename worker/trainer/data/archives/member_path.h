// Where a member of an archive may go: nowhere but below the folder that it is unpacked into.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lctl::archives {

// The folders and the name in a member's path, as in {"train", "cat", "1.jpg"}; "." is left out, so
// that the folder itself has none. Throws BadSample for absolute paths, "..", bytes that no name
// may have and parts that no file system takes; it says why, the caller says where. Pure.
std::vector<std::string> member_path(std::string_view name);

// A link's target as it may be written: relative, and below the folder wherever the link is read
// from. `depth`: the number of folders that the link lies in. ".." may only stand in front: behind
// a name that is a link itself it would lead elsewhere. Throws BadSample as above. Pure.
void check_link_target(std::string_view target, std::size_t depth);

}  // namespace lctl::archives
