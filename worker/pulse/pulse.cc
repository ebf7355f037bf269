#include "worker/pulse/pulse.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/descriptor.h"

namespace lctl::pulse {
namespace detail {
namespace {
Page private_page;
}
Page* page = &private_page;
}  // namespace detail

absl::Status keep(const std::string& link) {
  Descriptor memory(memfd_create("lctl-pulse", MFD_CLOEXEC));
  if (!memory.valid()) return errno_status(errno, "making memory for the pulse");
  if (ftruncate(memory.get(), sizeof(Page)) != 0) {
    return errno_status(errno, "taking memory for the pulse");
  }
  void* mapped = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return errno_status(errno, "mapping the pulse");
  Page* page = new (mapped) Page(*detail::page);
  page->version = kVersion;
  page->pid = static_cast<std::uint32_t>(getpid());
  // Last: with it the page is complete.
  detail::at(page->magic).store(kMagic, std::memory_order_release);
  const std::string target =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(memory.get());
  if (symlink(target.c_str(), link.c_str()) != 0) {
    const int error = errno;
    munmap(mapped, sizeof(Page));
    return errno_status(error, "making " + link);
  }
  detail::page = page;
  static_cast<void>(memory.release());  // others open it through this process's descriptor
  return absl::OkStatus();
}

std::string open_collective() {
  Page& page = *detail::page;
  const std::uint64_t begun = detail::at(page.begun).load(std::memory_order_acquire);
  if (begun == 0 || detail::at(page.passed).load() >= begun) return "";
  const auto kind =
      static_cast<Collective>(detail::at(page.recent[begun % page.recent.size()]).load());
  return std::string(name_of(kind)) + " #" + std::to_string(begun);
}

void takes_dumps() { detail::set(detail::page->takes_dumps, 1); }

void stacks_written() { detail::at(detail::page->dumps).fetch_add(1, std::memory_order_release); }

}  // namespace lctl::pulse
