// One GET, for tests.
#pragma once

#include <string>

namespace lctl::http {

// The whole response, head and body, of GET `target` at "127.0.0.1:PORT"; what was wrong if it
// could not be asked. Any thread.
std::string fetch(const std::string& address, const std::string& target);

}  // namespace lctl::http
