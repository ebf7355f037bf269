// Files and folders that a job reads: where their paths count from, and whether they are there.
#pragma once

#include "jobspec/config.h"
#include "jobspec/error.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Relative input paths mean the folder of the file that names them, or the current one in
// overrides. URLs (https://…, file://…) stay as they are.
void make_absolute(Value& path, const ParseOptions& options);

// Looks for a file that is to be read.
void check_readable(const Value& path, const std::string& key, Findings& findings);

// Input paths of the class in one section of the tree, by the types of its arguments (path, folder,
// shards): made absolute, and, with options.check_files, looked for. What lies behind a URL, and
// the files of a pattern in braces, is found out by the run.
void settle_paths(keys::Kind kind, Value& tree, const char* section, const ParseOptions& options,
                  Findings& findings);

}  // namespace lctl::jobspec
