#include "worker/trainer/loggers/wandb/run_directory.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <system_error>

#include "base/id.h"
#include "worker/trainer/loggers/appended_file.h"
#include "worker/trainer/loggers/wandb/record_file.h"

namespace lctl::wandb {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxSeconds = 1000;  // that may be taken already

// "20261127_102353"
std::string time_in_name(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d_%H%M%S", &local);
  return text.data();
}

// It is a convenience: where links are not possible there is none.
void link_latest(const fs::path& parent, const fs::path& folder) {
  std::error_code error;
  const fs::path fresh = parent / ("latest-run." + random_id(8));
  fs::create_symlink(folder.filename(), fresh, error);
  if (error) return;
  fs::rename(fresh, parent / "latest-run", error);
  if (error) fs::remove(fresh, error);
}

}  // namespace

fs::path make_run_directory(const std::string& root, const std::string& id, WallTime time) {
  const fs::path parent = fs::absolute(fs::path(root) / "wandb").lexically_normal();
  make_folders(parent, kWho);
  for (int later = 0; later < kMaxSeconds; ++later) {
    const WallTime named = time + std::chrono::seconds(later);
    const fs::path folder = parent / fmt::format("offline-run-{}-{}", time_in_name(named), id);
    std::error_code error;
    const bool is_new = fs::create_directory(folder, error);
    if (error) make_folders(folder, kWho);  // throws, and says why
    if (!is_new) continue;
    make_folders(folder / "files", kWho);
    link_latest(parent, folder);
    return folder;
  }
  throw std::runtime_error(
      fmt::format("{}: {} holds {} runs of the id {} from {} on; give another id or save_dir", kWho,
                  parent.string(), kMaxSeconds, id, time_in_name(time)));
}

}  // namespace lctl::wandb
