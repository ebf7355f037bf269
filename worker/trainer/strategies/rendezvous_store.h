// The key-value store through which ranks find each other.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>

#include "worker/trainer/strategies/strategy.h"

namespace lctl {

// Rank 0 serves the store, on the handed-down socket when there is one; the others connect. Throws
// std::runtime_error that names the address when the ranks do not meet within `timeout`.
c10::intrusive_ptr<c10d::Store> open_rendezvous_store(const Rendezvous& rendezvous,
                                                      const RankLayout& layout,
                                                      std::chrono::milliseconds timeout);

}  // namespace lctl
