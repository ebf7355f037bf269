// class_path + init_args entries against the key table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jobspec/config.h"
#include "jobspec/error.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// One class: a map with class_path and init_args, or the class's name alone. `key` is its path in
// the file. Empty when there are findings. Names become canonical in `value` itself
// ("torch.optim.Adam" stays as written; only ClassSpec::class_name is short).
std::optional<ClassSpec> parse_class(keys::Kind kind, const Value& value, const std::string& key,
                                     bool check_available, Findings& findings);

// One class or a list of them (callbacks, loggers).
std::vector<ClassSpec> parse_classes(keys::Kind kind, const Value& value, const std::string& key,
                                     bool check_available, Findings& findings);

// The entries of a list of transforms.
std::vector<ClassSpec> parse_transform_list(const Value& list, const std::string& key,
                                            bool check_available, Findings& findings);

// `trainer.profiler`: a class, or Lightning's short name of one ("simple").
std::optional<ClassSpec> parse_profiler(Value value, bool check_available, Findings& findings);

// `lr_scheduler`: the class and the keys beside it.
std::optional<LrSchedulerSpec> parse_lr_scheduler(const Value& value, bool check_available,
                                                  Findings& findings);

}  // namespace lctl::jobspec
