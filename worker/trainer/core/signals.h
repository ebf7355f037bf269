// The signals that a run is told by: to stop, to save.
#pragma once

namespace lctl {

// Installs the SIGTERM handler (a flag, passed on to child ranks) and remembers children.
// Thread rule: those that ask may be called by any thread, the others by the main thread; the
// handlers only set flags and call kill(2) and write(2).
namespace signals {
void install();
bool sigterm_received();
// The first SIGINT from now on ends a run in order, a second one the process. The handler says so
// where `say` is true.
void watch_interrupt(bool say);
bool any_received();  // SIGTERM or SIGINT
// While a fit serves boundaries (RunControl), SIGTERM does not end it but waits for the next one.
void wait_for_boundary(bool serving);
// A signal came that ends the run now, wherever it is. What may take long asks: downloads do.
bool ends_run();
// Throws SigtermException or KeyboardInterrupt, by the signal that came.
[[noreturn]] void throw_received();
void forward_to(int child_pid);  // at most 1024 children
// SIGUSR1 asks for a checkpoint and a requeueing from now on, unless somebody handles it already.
void watch_requeue();
bool requeue_asked();
void forget_requeue();      // it has been served
void raise_sigterm_flag();  // as if the signal had come (tests)
void clear();               // forgets flags and children (tests)
}  // namespace signals

}  // namespace lctl
