// lightning.pytorch.callbacks, and lctl's own: FiniteGuard, ReplicaCheck, HookTrace, RunSummary.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr std::string_view kMinMax = "one of: min, max";

constexpr Argument kModelCheckpoint[] = {
    {"dirpath", "str?", "null", "", "folder; null: `checkpoints` in the logger's folder"},
    {"filename", "str?", "null", "", "template; null: {epoch}-{step}"},
    {"monitor", "str?", "null", "", "metric that tells the best"},
    {"verbose", "bool", "false", "", "say when one is saved"},
    {"save_last", "bool|str?", "null", "one of: link", "keep last.ckpt, as a file or as a link"},
    {"save_top_k", "int", "1", ">= -1", "keep so many of the best; -1 all, 0 none"},
    {"save_weights_only", "bool", "false", "", "leave out the optimizers' state"},
    {"mode", "str", "min", kMinMax, "which way is better"},
    {"auto_insert_metric_name", "bool", "true", "", "`{epoch}` becomes epoch=3 instead of 3"},
    {"every_n_train_steps", "int?", "null", ">= 0", "save after every n steps"},
    {"train_time_interval", "time?", "null", "", "save after this wall time"},
    {"every_n_epochs", "int?", "null", ">= 0", "save after every n epochs"},
    {"save_on_train_epoch_end", "bool?", "null", "",
     "at the end of the epoch instead of validation"},
    {"enable_version_counter", "bool", "true", "", "add -v1 instead of replacing a file"},
    {"save_on_exception", "bool", "false", "", "save when training fails"},
};

constexpr Argument kEarlyStopping[] = {
    {"monitor", "str", kRequired, "", "metric to watch"},
    {"min_delta", "float", "0.0", "", "smallest change that counts"},
    {"patience", "int", "3", ">= 0", "checks without improvement"},
    {"verbose", "bool", "false", "", "say what it decides"},
    {"mode", "str", "min", kMinMax, "which way is better"},
    {"strict", "bool", "true", "", "fail when the metric is missing"},
    {"check_finite", "bool", "true", "", "stop at NaN or infinity"},
    {"stopping_threshold", "float?", "null", "", "stop when it is better than this"},
    {"divergence_threshold", "float?", "null", "", "stop when it is worse than this"},
    {"check_on_train_epoch_end", "bool?", "null", "",
     "at the end of the epoch instead of validation"},
    {"log_rank_zero_only", "bool", "false", "", "only rank 0 speaks"},
};

constexpr Argument kLearningRateMonitor[] = {
    {"logging_interval", "str?", "null", "one of: step, epoch", "when; null: as the schedulers"},
    {"log_momentum", "bool", "false", "", "momentum too"},
    {"log_weight_decay", "bool", "false", "", "weight decay too"},
};
constexpr Argument kGradientAccumulationScheduler[] = {
    {"scheduling", "map", kRequired, "", "from epoch: batches for each step, {0: 1, 4: 8}"},
};
constexpr Argument kTimer[] = {
    {"duration", "time?", "null", "", "stop after this wall time"},
    {"interval", "str", "step", "one of: step, epoch", "when to look"},
    {"verbose", "bool", "true", "", "say when it stops"},
};
constexpr Argument kStochasticWeightAveraging[] = {
    {"swa_lrs", "float|list[float]", kRequired, "> 0", "learning rate of the averaging phase"},
    {"swa_epoch_start", "int|float", "0.8", ">= 0", "first epoch of it, or share of all"},
    {"annealing_epochs", "int", "10", ">= 0", "epochs to reach the rate"},
    {"annealing_strategy", "str", "cos", "one of: cos, linear", "shape"},
    {"avg_fn", "any?", "null", "", "a Python function", "later"},
    {"device", "str?", "cpu", "", "where averages live"},
};
constexpr Argument kWeightAveraging[] = {
    {"device", "str?", "null", "", "where averages live"},
    {"use_buffers", "bool", "true", "", "average buffers too"},
};
constexpr Argument kEmaWeightAveraging[] = {
    {"device", "str?", "null", "", "where averages live"},
    {"use_buffers", "bool", "true", "", "average buffers too"},
    {"decay", "float", "0.999", "in [0, 1]", "decay"},
    {"update_every_n_steps", "int", "1", ">= 1", "every n steps"},
    {"update_starting_at_step", "int?", "null", ">= 0", "not before this step"},
    {"update_starting_at_epoch", "int?", "null", ">= 0", "not before this epoch"},
};
constexpr Argument kBackboneFinetuning[] = {
    {"unfreeze_backbone_at_epoch", "int", "10", ">= 0", "when the backbone starts to learn"},
    {"lambda_func", "any?", "null", "", "a Python function; here: twice the rate at each epoch",
     "later"},
    {"backbone_initial_ratio_lr", "float", "0.1", "> 0", "its first rate, as a share"},
    {"backbone_initial_lr", "float?", "null", "> 0", "its first rate"},
    {"should_align", "bool", "true", "", "stay below the rate of the rest"},
    {"initial_denom_lr", "float", "10.0", "> 0", "without effect, as in Lightning"},
    {"train_bn", "bool", "true", "", "normalisation layers go on learning"},
    {"verbose", "bool", "false", "", "print the rates"},
    {"rounding", "int", "12", ">= 0", "digits printed"},
};
constexpr Argument kDeviceStatsMonitor[] = {{"cpu_stats", "bool?", "null", "", "the CPU's too"}};
constexpr Argument kModelSummary[] = {
    {"max_depth", "int", "1", ">= -1", "levels of layers; -1 all"}};
constexpr Argument kTqdmProgressBar[] = {
    {"refresh_rate", "int", "1", ">= 0", "batches between updates; 0 shows nothing"},
    {"process_position", "int", "0", ">= 0", "line offset"},
    {"leave", "bool", "false", "", "keep each epoch's bar"},
};
constexpr Argument kRichProgressBar[] = {
    {"refresh_rate", "int", "1", ">= 0", "batches between updates; 0 shows nothing"},
    {"leave", "bool", "false", "", "keep each epoch's bar"},
    {"theme", "map?", "null", "", "colours", "later"},
    {"console_kwargs", "map?", "null", "", "arguments of Rich", "later"},
};
constexpr Argument kThroughputMonitor[] = {
    {"batch_size_fn", "any?", "null", "", "a Python function; here: a batch's rows", "later"},
    {"length_fn", "any?", "null", "", "a Python function", "later"},
    {"window_size", "int", "100", ">= 2", "batches averaged"},
    {"separator", "str", "/", "", "between parts of names"},
};
constexpr Argument kOnExceptionCheckpoint[] = {
    {"dirpath", "str", kRequired, "", "folder"},
    {"filename", "str", "on_exception", "", "name without .ckpt"},
};
constexpr Argument kFiniteGuard[] = {
    {"action", "str", "stop", "one of: stop, skip, roll_back",
     "end training, go on without that step, or go on from before it (a job on a server)"},
    {"max_skipped", "int", "10", ">= 0", "skip: steps in a row that may be skipped"},
    {"max_roll_backs", "int", "3", ">= 0", "roll_back: the job fails at one more"},
};
constexpr Argument kSpikeDetection[] = {
    {"mode", "str", "min", kMinMax, "which way is better"},
    {"window", "int", "10", ">= 1", "batches whose mean loss is compared with"},
    {"warmup", "int", "1", ">= 0", "batches of each epoch that are not judged"},
    {"atol", "float?", "null", ">= 0", "a spike is at least so far from the mean"},
    {"rtol", "float?", "2.0", ">= 0", "and at least so many times the mean"},
    {"exclude_batches_path", "str?", "null", "",
     "file or folder for the list of batches to skip; null: default_root_dir"},
    {"finite_only", "bool", "true", "", "NaN and infinity are spikes too"},
    {"action", "str", "raise", "one of: raise, roll_back",
     "end training, or go on from before the spike (a job on a server)"},
    {"max_roll_backs", "int", "3", ">= 0", "roll_back: the job fails at one more"},
};
constexpr Argument kReplicaCheck[] = {
    {"every_n_steps", "int", "1000", ">= 1", "steps between two checks"},
};
constexpr Argument kHookTrace[] = {
    {"path", "str", "trace.txt", "", "output file: one line for each hook call"}};
constexpr Argument kRunSummary[] = {
    {"path", "str", "result.json", "", "output file: counters, metrics, parameters' digests"}};

constexpr Class kCallbacks[] = {
    {Kind::kCallback, "ModelCheckpoint", kModelCheckpoint, true, "Saves checkpoints."},
    {Kind::kCallback, "EarlyStopping", kEarlyStopping, true,
     "Stops when a metric no longer improves."},
    {Kind::kCallback, "TQDMProgressBar", kTqdmProgressBar, true, "The progress bar."},
    {Kind::kCallback, "ModelSummary", kModelSummary, true, "Prints the layers before training."},
    {Kind::kCallback, "HookTrace", kHookTrace, true, "Writes the order of hook calls."},
    {Kind::kCallback, "RunSummary", kRunSummary, true, "Writes how a run ended."},
    {Kind::kCallback, "LearningRateMonitor", kLearningRateMonitor, true, "Logs learning rates."},
    {Kind::kCallback, "GradientAccumulationScheduler", kGradientAccumulationScheduler, true,
     "Changes accumulate_grad_batches by epoch."},
    {Kind::kCallback, "Timer", kTimer, true, "Stops after a wall time."},
    {Kind::kCallback, "StochasticWeightAveraging", kStochasticWeightAveraging, true,
     "Averages weights late in training."},
    {Kind::kCallback, "WeightAveraging", kWeightAveraging, true, "Averages weights."},
    {Kind::kCallback, "EMAWeightAveraging", kEmaWeightAveraging, true,
     "Averages weights exponentially."},
    {Kind::kCallback, "BackboneFinetuning", kBackboneFinetuning, true,
     "Freezes the model's `backbone` at first."},
    {Kind::kCallback, "DeviceStatsMonitor", kDeviceStatsMonitor, true, "Logs device statistics."},
    {Kind::kCallback, "RichModelSummary", kModelSummary, false, "ModelSummary in colour."},
    {Kind::kCallback, "RichProgressBar", kRichProgressBar, false, "The progress bar in colour."},
    {Kind::kCallback, "ThroughputMonitor", kThroughputMonitor, true, "Logs throughput."},
    {Kind::kCallback, "OnExceptionCheckpoint", kOnExceptionCheckpoint, true,
     "Saves when training fails."},
    {Kind::kCallback, "FiniteGuard", kFiniteGuard, true,
     "Acts on gradients that are NaN or infinite."},
    {Kind::kCallback, "ReplicaCheck", kReplicaCheck, true,
     "Checks that all ranks hold the same parameters."},
    {Kind::kCallback, "LambdaCallback", {}, false, "Python functions as hooks."},
    {Kind::kCallback, "ModelPruning", {}, false, "Prunes weights."},
    {Kind::kCallback, "SpikeDetection", kSpikeDetection, true, "Acts on spikes of the loss."},
    {Kind::kCallback, "BatchSizeFinder", {}, false, "See `tune`."},
    {Kind::kCallback, "LearningRateFinder", {}, false, "See `tune`."},
};

}  // namespace

std::span<const Class> callback_classes() { return kCallbacks; }

}  // namespace lctl::jobspec::keys
