// lightning.pytorch.loggers.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Argument kName = {"name", "str?", "lightning_logs", "", "folder under save_dir"};
constexpr Argument kVersion = {"version", "int|str?", "null", ">= 0",
                               "folder under name; null: the next version_N"};
constexpr Argument kPrefix = {"prefix", "str", "\"\"", "", "put before each metric's name"};

constexpr Argument kCsv[] = {
    {"save_dir", "str", kRequired, "", "folder"},
    kName,
    kVersion,
    kPrefix,
    {"flush_logs_every_n_steps", "int", "100", ">= 1", "rows between writes"},
};
constexpr Argument kTensorBoard[] = {
    {"save_dir", "str", kRequired, "", "folder"},
    kName,
    kVersion,
    {"log_graph", "bool", "false", "", "write the model's graph"},
    {"default_hp_metric", "bool", "true", "", "write hp_metric"},
    kPrefix,
    {"sub_dir", "str?", "null", "", "folder under the version"},
    {"purge_step", "int?", "null", "", "hide what earlier runs logged from this step on"},
    {"max_queue", "int", "10", ">= 1", "events that wait in memory"},
    {"flush_secs", "int", "120", ">= 0", "and how long they do"},
    {"filename_suffix", "str", "\"\"", "", "put after the name of the event file"},
};
constexpr Argument kWandb[] = {
    {"name", "str?", "null", "", "name of the run"},
    {"save_dir", "str?", ".", "", "folder; null: `dir`"},
    {"version", "str?", "null", "", "id of the run"},
    {"offline", "bool", "false", "", "excludes log_model; for `wandb sync` with or without it"},
    {"dir", "str?", "null", "", "folder, without save_dir"},
    {"id", "str?", "null", "", "id of the run; null: the job's id, else a new one"},
    {"anonymous", "bool?", "null", "", "of uploads", "later"},
    {"project", "str?", "null", "", "project; null: WANDB_PROJECT, else lightning_logs"},
    {"log_model", "bool|str", "false", "one of: all",
     "checkpoints as artifacts: those kept at the end, or all when saved"},
    {"experiment", "any?", "null", "", "an existing run", "later"},
    kPrefix,
    {"checkpoint_name", "str?", "null", "", "name of the artifact; null: model-ID"},
    {"add_file_policy", "str", "mutable", "one of: mutable, immutable",
     "artifacts keep a copy (a hard link), or name the checkpoint itself"},
    {"entity", "str?", "null", "", "team or user"},
    {"group", "str?", "null", "", "group of runs"},
    {"job_type", "str?", "null", "", "kind of run in the group"},
    {"tags", "list[str]?", "null", "", "labels"},
    {"notes", "str?", "null", "", "a longer text"},
    {"watch", "map?", "null", "", "histograms and the graph of the model"},
};
constexpr Argument kMlflow[] = {
    {"experiment_name", "str", "lightning_logs", "", "experiment"},
    {"run_name", "str?", "null", "", "name of the run"},
    {"tracking_uri", "str?", "null", "", "server; null: MLFLOW_TRACKING_URI"},
    {"tags", "map?", "null", "", "labels"},
    {"save_dir", "str?", "./mlruns", "", "folder"},
    {"log_model", "bool|str", "false", "one of: all", "upload checkpoints"},
    kPrefix,
    {"artifact_location", "str?", "null", "", "where artifacts go"},
    {"run_id", "str?", "null", "", "an existing run"},
    {"synchronous", "bool?", "null", "", "wait for the server"},
};

constexpr Class kLoggers[] = {
    {Kind::kLogger, "CSVLogger", kCsv, true, "Writes metrics.csv and hparams.yaml."},
    {Kind::kLogger, "TensorBoardLogger", kTensorBoard, true,
     "Writes TensorBoard event files and hparams.yaml."},
    {Kind::kLogger, "WandbLogger", kWandb, true, "Writes Weights & Biases runs for `wandb sync`."},
    {Kind::kLogger, "MLFlowLogger", kMlflow, false, "Writes to an MLflow server."},
    {Kind::kLogger, "CometLogger", {}, false, "Writes to Comet."},
    {Kind::kLogger, "NeptuneLogger", {}, false, "Writes to Neptune."},
};

}  // namespace

std::span<const Class> logger_classes() { return kLoggers; }

}  // namespace lctl::jobspec::keys
