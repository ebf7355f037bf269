// Which running gangs have to end so that another one fits. Part of scheduler.cc. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "server/scheduler/device_pool.h"
#include "server/scheduler/scheduler.h"

namespace lctl::scheduler {

// `room`: the devices that `gang` may have on each node (DevicePool::room_for). `candidates`: gangs
// that may be asked to end, all of the pool's kind. Empty when it fits without; nullopt when it
// does not fit even if all of them end. No gang of the answer can be left out of it.
std::optional<std::vector<const RunningGang*>> whom_to_end(
    std::map<NodeId, int> room, const GangShape& gang,
    std::span<const RunningGang* const> candidates);

}  // namespace lctl::scheduler
