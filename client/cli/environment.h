// Everything that a command touches outside of itself, so that tests can run commands in memory.
#pragma once

#include <iostream>
#include <istream>
#include <ostream>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "client/cli/terminal/look.h"
#include "client/library/client.h"

namespace lctl::cli {

// Ctrl-C and SIGTERM. Thread rule: internally locked.
class Interrupts {
 public:
  virtual ~Interrupts() = default;
  // From the first call on the signals no longer end the program: the first one is told by this
  // token …
  virtual std::stop_token first() = 0;
  // … and the second one by this.
  virtual std::stop_token second() = 0;
};

// Thread rule: one command runs in it at a time.
struct Environment {
  std::ostream& out;
  std::ostream& err;
  Look out_look;
  Look err_look;
  VariableLookup variable;
  const Clock& clock;
  Interrupts& interrupts;
  std::string user_at_host;  // who submits
  client::ClientOptions client_options = {};
  std::istream& in = std::cin;
};

}  // namespace lctl::cli
