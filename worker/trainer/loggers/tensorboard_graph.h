// The graph of a model's computation, for SummaryWriter::add_graph.
#pragma once

#include <torch/nn/module.h>

#include <functional>

#include "worker/trainer/data/batch.h"
#include "worker/trainer/loggers/tensorboard_events.pb.h"

namespace lctl {

using TracedForward = std::function<Batch(const Batch&)>;

// A tensor, or a list of tensors.
bool can_be_traced(const Batch& example);

// Runs `forward` once on `example`, in evaluation mode and without gradients, and records what it
// does: one node per operation ("aten::addmm"), parameter ("prim::GetAttr"), constant, input and
// output. Nodes are named as TensorBoard's tree wants them, "Model/Net[net]/Linear[0]/weight/…": an
// operation stands with the module whose parameters it reads, any other with the model. Branches
// that depend on values are recorded as taken. Modules keep their modes and parameters. What
// `forward` throws passes through. std::invalid_argument when the example cannot be traced. Thread
// rule: caller locks the model.
tensorboard::GraphDef traced_graph(torch::nn::Module& model, const TracedForward& forward,
                                   const Batch& example);

}  // namespace lctl
