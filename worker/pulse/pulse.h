// This process's own pulse, from the rank's side. Each call is a store or two: no lock, no system
// call, no clock; the reader's clock tells how long ago something changed.
//
// Thread rule: phases and batches are the training thread's to tell; collectives may be told by any
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/pulse/page.h"

namespace lctl::pulse {

namespace detail {
extern Page* page;  // private memory until keep() succeeds
template <typename T>
std::atomic_ref<T> at(T& field) {
  return std::atomic_ref<T>(field);
}
template <typename T, typename U>
void set(T& field, U value) {
  at(field).store(static_cast<T>(value), std::memory_order_relaxed);
}
}  // namespace detail

// From now on the page is memory that others can read: `link` becomes a symbolic link to it
// (/proc/<pid>/fd/<n>), so no disk is involved. Errors: what exists there already is left alone
// (AlreadyExists), and the pulse stays private.
absl::Status keep(const std::string& link);

inline Phase phase() { return static_cast<Phase>(detail::at(detail::page->phase).load()); }
inline void enter(Phase phase) {
  detail::set(detail::page->in_batch, 0);
  detail::set(detail::page->phase, phase);
}

inline void batch_begins(Phase phase) {
  detail::set(detail::page->phase, phase);
  detail::set(detail::page->in_batch, 1);
}
// All collectives of the batch are behind this thread, too.
inline void batch_ends(std::int64_t step) {
  Page& page = *detail::page;
  detail::set(page.step, step);
  detail::set(page.in_batch, 0);
  detail::set(page.passed, detail::at(page.begun).load(std::memory_order_relaxed));
  detail::set(page.beats, page.beats + 1);
}

// Before it is asked of the backend: who reads that one more was begun can see which.
inline void collective_begins(Collective kind) {
  Page& page = *detail::page;
  const std::uint64_t number = detail::at(page.begun).load(std::memory_order_relaxed) + 1;
  detail::set(page.recent[number % page.recent.size()], kind);
  detail::at(page.begun).store(number, std::memory_order_release);
}
// Those begun so far have been waited for.
inline void collectives_passed() {
  Page& page = *detail::page;
  detail::set(page.passed, detail::at(page.begun).load(std::memory_order_relaxed));
}

// "all_reduce #812", of the newest one that has been begun and is not behind this rank; "" = none.
std::string open_collective();

// For who writes the stacks.
void takes_dumps();
void stacks_written();

// The phase for as long as it lives, then the one before. Thread rule: one strand only.
class Within {
 public:
  explicit Within(Phase phase) : before_(pulse::phase()) { enter(phase); }
  ~Within() { enter(before_); }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  const Phase before_;
};

}  // namespace lctl::pulse
