// Agreement of several ranks through their rendezvous store.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <memory>

#include "worker/trainer/strategies/boundary_agreement.h"

namespace lctl {

// Each rank has a thread that sleeps in the store, on a connection of its own, until a rank asks:
//   1. the asking rank writes the request;
//   2. every rank's thread wakes up, arms its rank and acknowledges;
//   3. at its next boundary b, rank 0 sees that all have acknowledged and writes "at b+1";
//   4. armed ranks look for that answer at each boundary, and all act at b+1.
// Nobody can pass b+1 unknowing: to finish that batch a rank needs rank 0's gradients, which come
// after rank 0 has written the answer. Steps cost nothing until (2), then one round trip each until
// (4).
std::unique_ptr<BoundaryAgreement> make_store_agreement(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int world_size);

}  // namespace lctl
