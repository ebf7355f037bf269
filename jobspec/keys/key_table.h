// The key table: every class and argument that a job file may name, as data. It is what Lightning
// and torch know (names, types, defaults); `later` marks what this version of lctl cannot do yet,
// which is refused at submit by name instead of being ignored. The tables are in the other files of
// this folder, one for each kind of class; docs/job_file.md shows the same cells.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lctl::jobspec::keys {

// What an argument may hold. The cells are text in a small language, read by checks.cc and printed
// as they are in messages and in the documentation. A test holds every default against its own
// cells.
struct Argument {
  std::string_view name;
  // Alternatives joined by "|": bool, int, float (an int will do), str, map, list, list[T], any,
  // path (a str that names an input file, or its URL), folder (an input folder), shards (input
  // files, URLs or patterns with braces, one or a list), duration ("60s", 0), size ("4GiB"), time
  // ("DD:HH:MM:SS" or a map of days, hours, minutes, seconds), layers, transforms, schedulers,
  // class names (callbacks, logger, profiler), section. A final "?" says that null is a value of
  // its own; for all others null means "not given".
  std::string_view type;
  // The default as YAML; kRequired = there is none, it must be given.
  std::string_view fallback;
  // A bound or a choice: ">= 1", "> 0", "in [0, 1)", "one of: norm, value"; "" = all of the type.
  // A list is checked element by element; in front of the bound may stand how long it is ("two >=
  // 0", "one or two >= 1").
  std::string_view rule = "";
  // One line for the documentation.
  std::string_view about = "";
  // "" = all values work in this version; "later" = only the default does; "only: a, b" = these
  // values (and the default) do.
  std::string_view support = "";
};

inline constexpr std::string_view kRequired = "!";

enum class Kind {
  kSection,
  kModel,
  kData,
  kOptimizer,
  kLrScheduler,
  kCallback,
  kLogger,
  kProfiler,
  kLayer,
  kTransform
};

// One class, or one section of the file that holds keys ("trainer", "job.resources").
// Thread rule: immutable.
struct Class {
  Kind kind;
  std::string_view name;  // short and canonical: "AdamW"; a section: its path
  std::span<const Argument> arguments;
  bool available = true;  // false: known to Lightning or torch, not in this version of lctl
  std::string_view about = "";

  const Argument* find(std::string_view argument) const;
};

// All classes of a kind, in the order of the documentation. Lives for ever.
std::span<const Class> classes(Kind kind);

// The class that a class_path names: the short name ("AdamW") or a dotted Python path of the right
// package ("torch.optim.AdamW", "lightning.pytorch.callbacks.EarlyStopping",
// "pytorch_lightning.…"); null when unknown. Any thread.
const Class* find_class(Kind kind, std::string_view class_path);

// The section of that path ("trainer", "job", "job.resources", "job.retention", "tune.lr_find", …;
// "" is the top of the file). It exists (LCTL_CHECK).
const Class& section(std::string_view path);

// "optimizer", "callback", … for messages.
std::string_view kind_name(Kind kind);

// The names of the classes of a kind that this version has.
std::vector<std::string_view> available_names(Kind kind);

}  // namespace lctl::jobspec::keys
