// Sections of the file that are lctl's or LightningCLI's own.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Argument kTop[] = {
    {"seed_everything", "bool|int", "true", "in [0, 4294967295]",
     "seed of all generators; true is 0, false seeds nothing"},
    {"trainer", "section", "{}", "", "see `trainer`"},
    {"model", "class", kRequired, "", "a model"},
    {"data", "class", kRequired, "", "a data module"},
    {"optimizer", "class", "null", "", "an optimizer; fit and tune need one"},
    {"lr_scheduler", "class", "null", "", "a learning-rate scheduler, see `lr_scheduler`"},
    {"ckpt_path", "str", "null", "", "checkpoint to start from: a path, `last` or `best`"},
    {"tune", "section", "{}", "", "what `tune` looks for: `scale_batch_size`, `lr_find`"},
    {"job", "section", "{}", "", "see `job`"},
};

// Beside class_path and init_args.
constexpr Argument kLrScheduler[] = {
    {"interval", "str", "epoch", "one of: epoch, step",
     "step the scheduler after each epoch or batch"},
    {"frequency", "int", "1", ">= 1", "every so many of them"},
    {"monitor", "str?", "null", "", "the metric that ReduceLROnPlateau reads"},
    {"strict", "bool", "true", "", "fail when the metric is missing"},
    {"name", "str?", "null", "", "name for LearningRateMonitor"},
};

constexpr Argument kJob[] = {
    {"name", "str", "null", "a name", "name for people; default: the file's name without ending"},
    {"experiment", "str", "default", "a name", "the group of jobs it belongs to"},
    {"resources", "section", "{}", "", "see `job.resources`"},
    {"priority", "int", "50", "in [0, 100]", "higher runs first"},
    {"max_restarts", "int", "3", "in [0, 1000]",
     "further tries after a failure; lost nodes and preemptions do not count"},
    {"restart_from", "str", "last", "one of: last, best, none",
     "where a try after a failure begins: newest checkpoint, best by its metric, or the beginning"},
    {"crash_loop", "str", "stop", "one of: stop, retry",
     "stop: no further try when two in a row fail alike; retry: use all of max_restarts"},
    {"log_policies", "list", "[]", "",
     "what lines of the ranks' output mean, see `an entry of job.log_policies`"},
    {"hang_after", "bool|str", "auto", "auto, off or a duration",
     "a rank that gets nowhere for so long is hung; auto: by its own pace, off: never"},
    {"preemptible", "bool", "true", "", "may be asked to make room for jobs of higher priority"},
    {"elastic", "section", "null", "", "fewer nodes when not all are there, see `job.elastic`"},
    {"checkpoint_every", "duration", "60s", "",
     "wall time between recovery checkpoints; 0 makes none"},
    {"grace", "duration", "30s", "at most 1h", "time to write a last checkpoint when stopped"},
    {"retention", "section", "{}", "", "see `job.retention`"},
    {"resume", "str", "exact", "one of: exact, lightning",
     "exact: as if never stopped; lightning: only what Lightning's checkpoint holds"},
    {"environment", "map", "{}", "", "environment variables of every rank"},
    {"tags", "map", "{}", "", "free labels, `name: text`"},
};

constexpr Argument kResources[] = {
    {"nodes", "int", "1", "in [1, 4096]", "machines; default: trainer.num_nodes"},
    {"devices", "int", "1", "in [1, 1024]", "ranks on each machine; default: trainer.devices"},
    {"accelerator", "str", "auto", "one of: auto, cpu, gpu", "default: trainer.accelerator"},
    {"cpus_per_rank", "int", "0", "in [0, 4096]", "threads of a rank; 0: the node's share"},
    {"memory", "size", "0", "", "memory of a rank, as in 4GiB; 0 is not limited"},
};

constexpr Argument kLogPolicy[] = {
    {"pattern", "str", kRequired, "",
     "a regular expression (RE2) that is looked for in each line of stdout and stderr"},
    {"action", "str|map", kRequired, "one of: exclude_node, cancel_retries",
     "leave the node out, try no more, or `{label: NAME}`: tag the job `log_policy.NAME`"},
};

constexpr Argument kElastic[] = {
    {"min_nodes", "int", "1", "in [1, 4096]", "it waits rather than run on fewer"},
    {"max_nodes", "int", kRequired, "in [1, 4096]",
     "it runs on as many as are there; batch_size is that of a rank when all are"},
};

constexpr Argument kRetention[] = {
    {"keep_last", "int", "2", "in [1, 1000]", "newest recovery checkpoints to keep"},
    {"keep_best", "int", "0", "in [0, 100000]",
     "best checkpoints to keep; 0: all that ModelCheckpoint kept"},
    {"keep_every", "int", "0", ">= 0",
     "also a recovery checkpoint for each so many steps; 0: none"},
};

constexpr Argument kTune[] = {
    {"scale_batch_size", "section", "null", "", "see `tune.scale_batch_size`"},
    {"lr_find", "section", "null", "", "see `tune.lr_find`"},
};

constexpr Argument kScaleBatchSize[] = {
    {"mode", "str", "power", "one of: power, binsearch", "double until it fails, or also bisect"},
    {"steps_per_trial", "int", "3", ">= 1", "steps for each size"},
    {"init_val", "int", "2", ">= 1", "first size"},
    {"max_trials", "int", "25", ">= 1", "sizes at most"},
    {"batch_arg_name", "str", "batch_size", "", "argument of the data module"},
    {"margin", "float", "0.05", "in [0, 1)", "taken off the result of binsearch"},
    {"max_val", "int?", "8192", ">= 1", "largest size to try"},
};

constexpr Argument kLrFind[] = {
    {"min_lr", "float", "1e-08", "> 0", "first rate"},
    {"max_lr", "float", "1.0", "> 0", "last rate"},
    {"num_training", "int", "100", ">= 1", "steps"},
    {"mode", "str", "exponential", "one of: exponential, linear", "spacing of the rates"},
    {"early_stop_threshold", "float?", "4.0", "> 0",
     "stop when the loss is so many times the best; null never"},
    {"attr_name", "str", "\"\"", "", "name of the rate in the model"},
    {"skip_begin", "int", "10", ">= 0", "points left out at the start"},
    {"skip_end", "int", "1", ">= 0", "points left out at the end"},
};

// Flags of self.log, under model.init_args.log.<metric>.
constexpr Argument kLogFlags[] = {
    {"on_step", "bool?", "null", "", "log each step's value; null: Lightning's default"},
    {"on_epoch", "bool?", "null", "", "log the epoch's value; null: Lightning's default"},
    {"prog_bar", "bool", "false", "", "show it in the progress bar"},
    {"logger", "bool", "true", "", "send it to the loggers"},
    {"reduce_fx", "str", "mean", "one of: mean, min, max, sum", "how an epoch's value is made"},
    {"sync_dist", "bool?", "null", "", "reduce over ranks; null: true for validation and test"},
};

// Arguments of torch.profiler.schedule and torch.profiler.tensorboard_trace_handler, under
// trainer.profiler.init_args of a PyTorchProfiler.
constexpr Argument kProfilerSchedule[] = {
    {"wait", "int", kRequired, ">= 0", "steps of a cycle that are not recorded"},
    {"warmup", "int", kRequired, ">= 0", "then steps whose recording is thrown away"},
    {"active", "int", kRequired, ">= 1", "then steps that are recorded"},
    {"repeat", "int", "0", ">= 0", "cycles; 0: to the end"},
    {"skip_first", "int", "0", ">= 0", "steps before the first cycle"},
    {"skip_first_wait", "bool|int", "false", "in [0, 1]", "the first cycle begins with its warmup"},
};

constexpr Argument kTraceHandler[] = {
    {"dir_name", "str", kRequired, "", "folder of the traces"},
    {"worker_name", "str?", "null", "", "begin of their names; null: HOST_PROCESS"},
    {"use_gzip", "bool", "false", "", "compress them"},
};

// Arguments of WandbLogger.watch, under init_args.watch of a WandbLogger.
constexpr Argument kWandbWatch[] = {
    {"log", "str?", "gradients", "one of: gradients, parameters, all", "histograms of; null: none"},
    {"log_freq", "int", "100", ">= 1", "every so many batches"},
    {"log_graph", "bool", "true", "", "the layers of a declarative model, once"},
};

constexpr Class kSections[] = {
    {Kind::kSection, "", kTop, true, "The top of the file."},
    {Kind::kSection, "lr_scheduler", kLrScheduler, true,
     "Beside class_path and init_args of `lr_scheduler`."},
    {Kind::kSection, "job", kJob, true, "What lctl needs to run the job."},
    {Kind::kSection, "job.resources", kResources, true,
     "What one attempt needs, all of it or nothing."},
    {Kind::kSection, "job.elastic", kElastic, true, "On how many nodes it may run."},
    {Kind::kSection, "job.log_policies", kLogPolicy, true, "An entry of `log_policies`."},
    {Kind::kSection, "job.retention", kRetention, true, "Which checkpoints stay."},
    {Kind::kSection, "tune", kTune, true, "Parts of `tune`."},
    {Kind::kSection, "tune.scale_batch_size", kScaleBatchSize, true,
     "Arguments of Tuner.scale_batch_size."},
    {Kind::kSection, "tune.lr_find", kLrFind, true, "Arguments of Tuner.lr_find."},
    {Kind::kSection, "model.init_args.log", kLogFlags, true,
     "Flags of one metric in the `log` map of a model."},
    {Kind::kSection, "profiler.schedule", kProfilerSchedule, true,
     "`schedule` of a PyTorchProfiler."},
    {Kind::kSection, "profiler.on_trace_ready", kTraceHandler, true,
     "`on_trace_ready` of a PyTorchProfiler."},
    {Kind::kSection, "logger.watch", kWandbWatch, true, "`watch` of a WandbLogger."},
};

}  // namespace

std::span<const Class> section_classes() { return kSections; }

}  // namespace lctl::jobspec::keys
