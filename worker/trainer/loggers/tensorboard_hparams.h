// Hyper-parameters as TensorBoard's hparams plugin wants them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/loggers/tensorboard_events.pb.h"

namespace lctl {

// Nested dictionaries, and lists of nothing but dictionaries, become one level with names joined by
// "/" ("sub/x", "layers/0/size"); every other value that is no bool, number, text or tensor becomes
// Python's str() of it ("[1, 2]", "None"). An empty dictionary or list disappears, as it does in
// Lightning.
checkpoint::Dict flat_hparams(const checkpoint::Dict& hparams);

// What an experiment, a session's start and its end say: three summaries, in the order in which
// they are written. `hparams` are flat; `metrics` are the tags that the plugin shows beside them.
// bools are numbers there, as torch.utils.tensorboard writes them.
std::vector<tensorboard::Summary> hparams_summaries(const checkpoint::Dict& hparams,
                                                    std::span<const std::string_view> metrics);

}  // namespace lctl
