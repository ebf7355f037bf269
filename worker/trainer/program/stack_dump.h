// The stacks of all threads of this process, on request: what a hung rank was doing.
#pragma once

#include <string>

namespace lctl::stacks {

// From now on pulse::dump_signal() makes this process write all stacks to stderr, whatever its
// threads are stuck in; the pulse says so. Starts one thread. Once, before other threads are many.
void watch();

// The text: one paragraph for each stack that differs, with the threads that have it, the main
// thread last. Bounded. A thread that does not answer within a moment (it sleeps in the kernel and
// cannot be woken) is named without a stack. One call at a time; after watch(). Any thread.
std::string collect();

}  // namespace lctl::stacks
