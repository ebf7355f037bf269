// The commands below `lctl admin`.
#pragma once

#include <CLI/CLI.hpp>

#include "client/cli/session.h"

namespace lctl::cli {

void add_admin_backup(CLI::App& parent, Session& session);
void add_admin_restore(CLI::App& parent, Session& session);
void add_admin_check(CLI::App& parent, Session& session);
void add_admin_vacuum(CLI::App& parent, Session& session);
void add_admin_gc(CLI::App& parent, Session& session);
void add_admin_export(CLI::App& parent, Session& session);

}  // namespace lctl::cli
