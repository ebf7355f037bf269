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
  if (const char* given = std::getenv("LCTL_CUDA_PLUGIN"); given != nullptr && *given != '\0')
    return {given};
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  paths.push_back(folder / kCudaPlugin);
  paths.push_back(folder / "accelerators" / "cuda" / kCudaPlugin);  // a build tree
  paths.push_back(folder.parent_path() / "lib" / "lctl" / kCudaPlugin);
  return paths;
}

// libtorch_cuda.so in a tree that keeps the wheels' layout: its own RUNPATH finds NVIDIA's
// libraries only from there, so it is opened first, by that path.
fs::path libtorch_cuda() {
  if (const char* given = std::getenv("LCTL_LIBTORCH_CUDA"); given != nullptr && *given != '\0')
    return given;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path installed =
      program.parent_path().parent_path() / "lib" / "lctl" / "torch" / "lib" / "libtorch_cuda.so";
  if (fs::exists(installed, ignored)) return installed;
  for (fs::path folder = program.parent_path(); folder.has_relative_path();
       folder = folder.parent_path()) {
    const fs::path built =
        folder / "external" / "libtorch_cuda" / "site" / "torch" / "lib" / "libtorch_cuda.so";
    if (fs::exists(built, ignored)) return built;  // a build tree
  }
  return {};
}

}  // namespace

std::unique_ptr<Accelerator> open_cuda_plugin(std::string& reason) {
  void* library = nullptr;
  for (const fs::path& path : candidates()) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    if (const fs::path torch = libtorch_cuda();
        !torch.empty() && dlopen(torch.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* error = dlerror();
      reason = error != nullptr ? error : "cannot open " + torch.string();
      return nullptr;
    }
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* error = dlerror();
      reason = error != nullptr ? error : "cannot open " + path.string();
      return nullptr;
    }
    break;
  }
  if (library == nullptr) {
    reason = std::string(kCudaPlugin) +
             " is not installed (a build with --config=cuda makes it; LCTL_CUDA_PLUGIN names it "
             "elsewhere)";
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
