// A program of one's own around a Trainer: from main() to the exit code.
#pragma once

#include <functional>

namespace lctl {

class RankProcess;

// Runs `body` and gives main()'s exit code (those of docs/formats/launch.md): an exception becomes
// one line on stderr, SIGTERM stops training after the batch, ranks that a Trainer started are
// waited for, and an agent is told how it ended. The program must do the same on every rank: with
// several devices, ranks 1, 2, … run it from the start with the same arguments.
//
//   int main() {
//     return lctl::run_program([] {
//       lctl::seed_everything(42);
//       …
//       trainer.fit(model, &data);
//     });
//   }
//
// On the main thread, once.
int run_program(const std::function<void()>& body);

// This process; made at the first call. Main thread only.
RankProcess& this_process();

}  // namespace lctl
