#include "worker/trainer/strategies/rendezvous_store.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <exception>
#include <stdexcept>
#include <string>

namespace lctl {

struct SharedStore {
  c10::intrusive_ptr<c10d::Store> store;
  int uses = 0;
};

std::shared_ptr<SharedStore> make_shared_store() { return std::make_shared<SharedStore>(); }

namespace {

c10::intrusive_ptr<c10d::Store> open(const Rendezvous& rendezvous, const RankLayout& layout,
                                     std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(rendezvous.port);
  options.isServer = layout.global_rank == 0;
  options.numWorkers = static_cast<std::size_t>(layout.world_size);
  options.waitWorkers = false;
  options.timeout = timeout;
  options.useLibUV = false;  // the plain server takes over a listening socket as it is
  if (options.isServer && rendezvous.listen_fd >= 0) options.masterListenFd = rendezvous.listen_fd;
  try {
    return c10::make_intrusive<c10d::TCPStore>(rendezvous.address, options);
  } catch (const std::exception& error) {
    const std::string where = rendezvous.address + ":" + std::to_string(rendezvous.port);
    throw std::runtime_error(
        "rank " + std::to_string(layout.global_rank) + " cannot reach the rendezvous at " + where +
        " (MASTER_ADDR, MASTER_PORT): " + std::string(error.what()).substr(0, 300));
  }
}

}  // namespace

c10::intrusive_ptr<c10d::Store> open_rendezvous_store(const Rendezvous& rendezvous,
                                                      const RankLayout& layout,
                                                      std::chrono::milliseconds timeout) {
  if (!rendezvous.shared) return open(rendezvous, layout, timeout);
  SharedStore& shared = *rendezvous.shared;
  if (!shared.store) shared.store = open(rendezvous, layout, timeout);
  // All ranks make their trainers in the same order: the same number names the same one.
  return c10::make_intrusive<c10d::PrefixStore>("trainer-" + std::to_string(shared.uses++),
                                                shared.store);
}

}  // namespace lctl
