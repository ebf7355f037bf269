// Files whose checksum is known without reading them again.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "worker/trainer/data/fetch/cache_record.h"

namespace lctl {

// Size, time and inode of an open file; `sha256` is left "". Throws std::system_error.
FileRecord identity_of(int fd, const std::string& name);

// The checksum of an open file: from the note `note` in `notes` (an open folder) when that is about
// this very state of the file, else by reading all of it; then the note is written. A file that was
// changed within the last two seconds gets no note, since another change might leave its time as it
// is. A folder that cannot be written, or `notes` < 0, costs a reading each time and is no error.
// Nothing = `stopped` said so. Throws std::system_error.
std::optional<std::string> known_sha256(int notes, const std::string& note, int fd,
                                        const std::string& name,
                                        const std::function<bool()>& stopped);

// Writes the note for a file whose checksum was computed while it was written.
void note_sha256(int notes, const std::string& note, int fd, const std::string& name,
                 const std::string& sha256);

}  // namespace lctl
