// Small files that exist whole or not at all, and folders below which no link is followed.
//
// Names are single components, relative to an open folder, so that a link which somebody puts into
// the cache while we work cannot lead elsewhere. All throw std::system_error. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/descriptor.h"

namespace lctl {

// "<what>: <text of errno>"
[[noreturn]] void throw_errno(const std::string& what);

// The folder `name` of `parent`; not valid() when there is none. A link to a folder is refused.
Descriptor open_folder(int parent, const std::string& name);

// The same, made first where it is missing (mode 0755, whatever the umask; its entry is synced).
Descriptor make_folder(int parent, const std::string& name);

// The whole of an ordinary file of at most `limit` bytes; nothing when there is none of that kind.
std::optional<std::string> read_small_file(int folder, const std::string& name, std::size_t limit);

// Replaces the file: temporary name, sync, rename, sync of the folder. Mode 0644.
void write_durably(int folder, const std::string& name, std::string_view text);

// Removes the file if it is there.
void remove_file(int folder, const std::string& name);

// All of `bytes` at the end of what was written so far.
void write_all(int fd, std::string_view bytes, const std::string& name);

void sync_file(int fd, const std::string& name);

}  // namespace lctl
