// Broken invariants of our own code stop the process at once, in release builds too. Never use this
// for input from outside: that gets an error a person can act on.
#pragma once

namespace lctl {

// Prints "file:line: check failed: expression: why" on stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* expression, const char* why);

}  // namespace lctl

// LCTL_CHECK(condition, "why it must hold")
#define LCTL_CHECK(condition, why) \
  ((condition) ? static_cast<void>(0) : ::lctl::check_failed(__FILE__, __LINE__, #condition, why))
