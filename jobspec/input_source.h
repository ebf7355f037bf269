// How a job names what it reads: paths, URLs, and folders inside archives.
#pragma once

#include <optional>
#include <string_view>

namespace lctl::jobspec {

// Has `text` a scheme ("https://…", "s3://…")? All else is a path, whatever characters it has.
// Pure.
bool is_url(std::string_view text);

// A folder that an archive holds: "photos.tar.gz",
// "https://host/photos.zip#sha256=…!/photos/train".
struct ArchiveFolder {
  std::string_view archive;  // its path or URL
  std::string_view inner;    // the folder in it; "" = all of it
};

// Nothing when the name is no archive's. A URL's query and fragment do not count. Pure.
std::optional<ArchiveFolder> archive_folder(std::string_view text);

// Endings of archives that are unpacked, for messages.
inline constexpr std::string_view kArchiveEndings = ".tar, .tar.gz, .tgz or .zip";

}  // namespace lctl::jobspec
