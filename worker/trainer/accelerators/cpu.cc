#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "base/own_address.h"
#include "worker/trainer/accelerators/accelerator.h"

namespace lctl {
namespace {

// Thread rule: that of Accelerator; device_stats is for one strand.
class CpuAccelerator final : public Accelerator {
 public:
  std::string name() const override { return "cpu"; }
  int device_count() const override {
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  c10::Device device(int /*index*/) const override { return c10::Device(c10::DeviceType::CPU); }
  void set_device(c10::Device) override {}
  void synchronize(c10::Device) override {}
  std::unique_ptr<CopyStream> copy_stream(c10::Device) override { return nullptr; }
  at::Tensor empty_pinned(at::IntArrayRef sizes, at::ScalarType dtype) override {
    return at::empty(sizes, dtype);
  }
  std::shared_ptr<void> pin(void*, std::size_t) override { return nullptr; }

  DeviceStats device_stats(c10::Device) override { return host_.read(); }
  std::string device_name(c10::Device) const override { return "cpu"; }
  std::map<std::string, std::string> versions() const override { return {}; }

  std::string backend_name() const override { return "gloo"; }
  c10::intrusive_ptr<c10d::Backend> make_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                 int rank, int world_size,
                                                 std::chrono::milliseconds timeout) override {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices.push_back(gloo_device());
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, world_size, options);
  }

  void seed(std::uint64_t) override {}
  std::vector<at::Tensor> generator_states() const override { return {}; }
  void set_generator_states(const std::vector<at::Tensor>&) override {}

 private:
  // Ranks of one machine talk over loopback, those of several over the address that rank 0 sees:
  // whatever the machine's own name resolves to (Debian's installer makes that 127.0.1.1).
  static std::shared_ptr<::gloo::transport::Device> gloo_device() {
    if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
        interface != nullptr && *interface != '\0') {
      return c10d::ProcessGroupGloo::createDeviceForInterface(interface);
    }
    const char* world = std::getenv("WORLD_SIZE");
    const char* local = std::getenv("LOCAL_WORLD_SIZE");
    if (world != nullptr && local != nullptr && std::string_view(world) == local) {
      return c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1");
    }
    if (const char* master = std::getenv("MASTER_ADDR"); master != nullptr) {
      const std::string own = own_address_towards(master);
      if (!own.empty()) return c10d::ProcessGroupGloo::createDeviceForHostname(own);
    }
    return c10d::ProcessGroupGloo::createDefaultDevice();
  }

  HostStats host_;
};

}  // namespace

std::unique_ptr<Accelerator> make_cpu_accelerator() { return std::make_unique<CpuAccelerator>(); }

}  // namespace lctl
