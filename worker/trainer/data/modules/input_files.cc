#include "worker/trainer/data/modules/input_files.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "jobspec/input_source.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/signals.h"
#include "worker/trainer/data/archives/unpacked_archive.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/fetcher.h"
#include "worker/trainer/data/fetch/source_url.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

// This process': each URL is asked for once.
Fetcher& fetcher() {
  static Fetcher fetcher(FetchOptions{.stopped = signals::ends_run});
  return fetcher;
}

archives::UnpackedArchiveOptions unpacking(const std::string& name) {
  archives::UnpackedArchiveOptions options;
  options.unpack.make_room = [name](std::uint64_t bytes) { fetcher().make_room(name, bytes); };
  options.unpack.stopped = signals::ends_run;
  options.say = console::info_of_rank;
  return options;
}

// What `call` returns; the reasons why there is nothing become the trainer's.
template <typename Call>
auto with_trainers_errors(const Call& call) {
  try {
    return call();
  } catch (const FetchError& error) {
    if (error.kind() == FetchErrorKind::kCancelled) {
      console::info_of_rank(error.what());
      signals::throw_received();
    }
    if (error.permanent()) throw MisconfigurationException(error.what());
    throw std::runtime_error(error.what());
  }
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

struct Folder {
  fs::path path;
  bool is_whole_archive = false;
};

Folder find_folder(const std::string& input) {
  if (!jobspec::is_url(input) && is_folder(input)) return {input, false};
  const std::optional<jobspec::ArchiveFolder> source = jobspec::archive_folder(input);
  if (!source) {
    // A path may be wrong; whoever reads it says it best.
    if (!jobspec::is_url(input)) return {input, false};
    if (parse_source(input).scheme == SourceUrl::Scheme::kFile) {
      const fs::path path = fetcher().fetch(input);
      if (is_folder(path)) return {path, false};
    }
    throw MisconfigurationException(
        fmt::format("{}: a folder is wanted here, and this is no archive by its name ({})",
                    shown_url(input), jobspec::kArchiveEndings));
  }
  const std::string archive(source->archive);
  const std::string name = jobspec::is_url(archive) ? shown_url(archive) : archive;
  const fs::path path = fetcher().fetch(archive);
  const archives::UnpackedArchiveOptions options = unpacking(name);
  const fs::path unpacked =
      archives::unpacked_archive(path, name, fetcher().place_for(path), options);
  return {archives::folder_inside(unpacked, std::string(source->inner), name),
          source->inner.empty()};
}

}  // namespace

void fetch_inputs(const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) local_file(input);
}

std::string local_file(const std::string& input) {
  return with_trainers_errors([&] { return fetcher().fetch(input).string(); });
}

std::string local_folder(const std::string& input) {
  return with_trainers_errors([&] { return find_folder(input).path.string(); });
}

std::string local_image_folder(const std::string& input) {
  return with_trainers_errors([&] {
    const Folder folder = find_folder(input);
    return (folder.is_whole_archive ? archives::only_folder_in(folder.path) : folder.path).string();
  });
}

}  // namespace lctl
