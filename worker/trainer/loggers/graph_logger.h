// Loggers that show what a model computes.
#pragma once

namespace lctl {

class TrainableModule;

// A Logger that is one, too, is called on rank 0 between its log_hyperparams and the save that
// follows. Thread rule: one strand only (the training thread).
class GraphLogger {
 public:
  virtual ~GraphLogger() = default;

  // The computation of `module` on its example_input_array. Does nothing unless the user asked for
  // it; says why when there can be no graph.
  virtual void log_graph(TrainableModule& module) = 0;
};

}  // namespace lctl
