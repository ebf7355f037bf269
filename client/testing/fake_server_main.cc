// A fake lctl-server as a program, for tests of `lctl up`: it says where it listens, and has the
// nodes that its environment names. It ends on SIGTERM.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "client/testing/fake_server.h"

int main() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  lctl::client::FakeServer server;
  const char* names = std::getenv("FAKE_NODES");
  std::istringstream in(names == nullptr ? "" : names);
  for (std::string name; in >> name;) {
    lctl::v1::Node node;
    node.set_name(name);
    node.set_state(lctl::v1::NODE_STATE_READY);
    server.put_node(node);
  }
  std::cout << "listening on " << server.address() << std::endl;
  int number = 0;
  sigwait(&signals, &number);
  return 0;
}
