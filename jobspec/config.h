// A job file, checked: the one door from YAML text to a configuration. A LightningCLI file
// (`seed_everything`, `trainer`, `model`, `data`, `optimizer`, `lr_scheduler`, `ckpt_path`, `tune`)
// plus the section `job`. Start here: parse().
//
//   auto config = jobspec::parse_file("digits.yaml", {.overrides = {"--trainer.max_epochs=3"}});
//   config->trainer.get_int("max_steps");              // given, or Lightning's default
//   config->optimizer->init_args.get_double("lr");
//   config->job;                                       // what the server gets
//
// Nothing here reads the network or knows LibTorch. Any thread may call; results are plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "jobspec/arguments.h"
#include "jobspec/error.h"
#include "jobspec/value.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobspec {

// One `class_path` + `init_args` entry.
struct ClassSpec {
  std::string class_name;  // short and canonical: "AdamW" for torch.optim.AdamW
  Arguments init_args;     // init_args.given() is the map as written
  Location location;
  // Classes that are named inside init_args, argument by argument in the order of the key table:
  // the `layers` and then the `backbone` of a model, the transforms of a data module and of a
  // RandomApply, the `schedulers` of SequentialLR and ChainedScheduler. Empty for all others.
  std::vector<ClassSpec> children;

  friend bool operator==(const ClassSpec& a, const ClassSpec& b) {
    return a.class_name == b.class_name && a.init_args == b.init_args && a.children == b.children;
  }
};

// `lr_scheduler`: the class, and what goes into Lightning's scheduler dictionary beside it.
struct LrSchedulerSpec {
  ClassSpec scheduler;
  std::string interval = "epoch";  // or "step"
  std::int64_t frequency = 1;
  std::optional<std::string> monitor;
  bool strict = true;
  std::optional<std::string> name;

  friend bool operator==(const LrSchedulerSpec&, const LrSchedulerSpec&) = default;
};

// What `trainer.logger` says.
enum class LoggerChoice {
  kDefault,  // absent, null or true: the trainer's own default logger
  kNone,     // false or []
  kListed,   // one entry or a list: Config::loggers
};

// What `tune` asks for; absent parts are not run.
struct TuneSpec {
  std::optional<Arguments> scale_batch_size;
  std::optional<Arguments> lr_find;

  friend bool operator==(const TuneSpec&, const TuneSpec&) = default;
};

// A valid configuration. Thread rule: immutable once shared.
struct Config {
  // N of seed_everything(N, workers=True); absent, null and true are 0; empty = false, nothing is
  // seeded.
  std::optional<std::int64_t> seed_everything;
  // Arguments of Trainer, without `callbacks`, `logger` and `profiler`, which are below. `devices`,
  // `num_nodes` and `accelerator` are filled in from job.resources where only that says them.
  Arguments trainer;
  LoggerChoice logger = LoggerChoice::kDefault;
  std::vector<ClassSpec> loggers;    // for LoggerChoice::kListed
  std::vector<ClassSpec> callbacks;  // in the order of the file
  std::optional<ClassSpec> profiler;
  ClassSpec model;
  ClassSpec data;
  std::optional<ClassSpec> optimizer;  // always there for fit and tune
  std::optional<LrSchedulerSpec> lr_scheduler;
  // "" = none, the words "last", "best" and "hpc", or a path (absolute when base_dir was given).
  std::string ckpt_path;
  TuneSpec tune;
  // What the server gets: the `job` section with its defaults, config_yaml = canonical_yaml(),
  // config_name = ParseOptions::file_name, submit_dir = ParseOptions::current_dir (where that is
  // UTF-8).
  v1::JobSpec job;
  // The whole tree after overrides, input paths absolute, job.name and the devices filled in.
  Value tree;

  // `tree` as YAML text. It parses (with no overrides) to an equal Config: nothing is lost on the
  // way from the submitting machine to the ranks.
  std::string canonical_yaml() const;
};

// What the configuration is for; decides which sections must be there.
enum class Command { kFit, kValidate, kTest, kPredict, kTune };

struct ParseOptions {
  std::string file_name = "job.yaml";  // for messages; its stem is the default of job.name
  // Absolute folder of the file, and the absolute current folder: relative *input* paths (data
  // files, ckpt_path) in the file mean the first, in overrides the second. Empty: they stay as they
  // are. Output paths (default_root_dir, dirpath, save_dir, path of HookTrace …) always stay as
  // they are.
  std::string base_dir;
  std::string current_dir;
  // Applied in order before any check: "--a.b=VALUE" or "a.b=VALUE", "a.b+=VALUE" appends to a
  // list; list indices are path parts; VALUE is YAML. See docs/job_file.md, "Overrides".
  std::vector<std::string> overrides;
  // Looks up a variable of the environment; null = there is none. PL_TRAINER_<NAME> gives Trainer's
  // argument of that name where neither file nor overrides do, as in Lightning; the value is
  // Python's or YAML's.
  std::function<const char*(const char* name)> environment = nullptr;
  // Why a text is no regular expression, "" = it is one (base/pattern.h); null: they are not
  // checked. Client and server do; a rank, which never uses them, would link a library for it.
  std::function<std::string(std::string_view pattern)> pattern_problem = nullptr;
  // Input files must exist and be readable. Off on the server, which does not see them.
  bool check_files = true;
  // Refuse what Lightning knows and this version of lctl does not have yet.
  bool check_available = true;
  Command command = Command::kFit;
};

// Checks everything; InvalidArgument with all findings (see error.h) when anything is wrong. The
// text is outside input: at most 1 MiB, 64 levels, 100,000 nodes after aliases.
absl::StatusOr<Config> parse(std::string_view yaml, const ParseOptions& options = {});

// The same, and the findings one by one.
absl::StatusOr<Config> parse(std::string_view yaml, const ParseOptions& options,
                             Findings& findings);

// A list of transforms by itself, as it stands behind a `transforms` key of a job file, checked in
// the same way: for data modules that are written in C++. `name` stands for the text in messages.
absl::StatusOr<std::vector<ClassSpec>> parse_transforms(std::string_view yaml,
                                                        const std::string& name = "transforms");

// Reads the file and fills file_name (as given), base_dir and current_dir. NotFound or
// PermissionDenied with the path when it cannot be read.
absl::StatusOr<Config> parse_file(const std::string& path, ParseOptions options = {});

}  // namespace lctl::jobspec
