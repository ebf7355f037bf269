// What a job file says, as the plain Python data that checkpoints and hparams.yaml hold.
#pragma once

#include "jobspec/value.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl {

// Null becomes None; maps and lists keep their order.
checkpoint::Value plain_value(const jobspec::Value& value);

}  // namespace lctl
