// `lctl-trainer compare FIRST SECOND`: what `lctl checkpoints diff` shows.
#pragma once

#include <string>

#include "worker/trainer/program/exit_code.h"

namespace lctl {

// Prints what differs between two .ckpt files as one JSON object on stdout: "first" and "second"
// {"epoch", "global_step"; null where the file has none}, "equal" {"tensors", "elements",
// "values"}, "differences" [{"path", "kind": "changed" | "only_first" | "only_second", "first",
// "second", "tensor": null | {"elements", "changed", "largest", "relative"; null for NaN and
// infinities}}]. A file that is no checkpoint is an error on stderr, and kFailed.
ExitCode compare_checkpoints(const std::string& first, const std::string& second);

}  // namespace lctl
