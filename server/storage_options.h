// Options of lctl-server that say how much is kept, and for how long.
#pragma once

#include <CLI/CLI.hpp>

#include "server/server.h"

namespace lctl::server {

// Declares them on `app`; parsing sets them in `options`, which must outlive it. What is no
// duration or size is a parse error that says what was expected.
void declare_storage_options(CLI::App& app, ServerOptions& options);

}  // namespace lctl::server
