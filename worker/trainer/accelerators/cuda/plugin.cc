#include "worker/trainer/accelerators/cuda/plugin.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace lctl {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> candidates() {
  std::vector<fs::path> paths;
  if (const char* given = std::getenv("LCTL_CUDA_PLUGIN"); given != nullptr && *given != '\0') return {given};
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  paths.push_back(folder / kCudaPlugin);
  paths.push_back(folder / "accelerators" / "cuda" / kCudaPlugin);  // a build tree
  paths.push_back(folder.parent_path() / "lib" / "lctl" / kCudaPlugin);
  return paths;
}

}  // namespace

std::unique_ptr<Accelerator> open_cuda_plugin(std::string& reason) {
  void* library = nullptr;
  for (const fs::path& path : candidates()) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* error = dlerror();
      reason = error != nullptr ? error : "cannot open " + path.string();
      return nullptr;
    }
    break;
  }
  if (library == nullptr) {
    reason = std::string(kCudaPlugin) + " is not installed (a build with --config=cuda makes it; LCTL_CUDA_PLUGIN names it elsewhere)";
    return nullptr;
  }
  const auto make = reinterpret_cast<MakeCudaAccelerator>(dlsym(library, kMakeCudaAccelerator));
  if (make == nullptr) {
    reason = std::string(kCudaPlugin) + " is of another build: it has no " + kMakeCudaAccelerator;
    return nullptr;
  }
  std::array<char, 512> why{};
  std::unique_ptr<Accelerator> accelerator(make(why.data(), why.size()));
  if (!accelerator) reason = why.data();
  return accelerator;
}

}  // namespace lctl
