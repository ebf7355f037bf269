// lightning.pytorch.profilers.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Argument kDirpath = {"dirpath", "str?", "null", "",
                               "folder of the report; null: the first logger's folder"};
constexpr Argument kFilename = {"filename", "str?", "null", "",
                                "name of the report, STAGE-FILENAME.txt; null: it goes to the log"};

constexpr Argument kSimple[] = {
    kDirpath,
    kFilename,
    {"extended", "bool", "true", "", "with calls and shares of the time"},
};
constexpr Argument kAdvanced[] = {
    kDirpath,
    kFilename,
    {"line_count_restriction", "int|float", "1.0", ">= 0",
     "rows for each action; a float below 1 is a share of them"},
    {"dump_stats", "bool", "false", "", "write .prof files too, for Python's pstats"},
};
constexpr Argument kPyTorch[] = {
    kDirpath,
    kFilename,
    {"group_by_input_shapes", "bool", "false", "", "with record_shapes: a row for each shape"},
    {"emit_nvtx", "bool", "false", "", "ranges for nvprof", "later"},
    {"export_to_chrome", "bool", "true", "", "write traces as JSON"},
    {"row_limit", "int", "20", ">= -1", "rows of the table; -1 all"},
    {"sort_by_key", "str?", "null",
     "one of: count, cpu_memory_usage, cpu_time, cpu_time_total, cuda_memory_usage, cuda_time, "
     "cuda_time_total, self_cpu_memory_usage, self_cuda_memory_usage",
     "order of the table; null: cpu_time_total, on a GPU cuda_time_total"},
    {"record_module_names", "bool", "true", "", "name the model's layers in traces"},
    {"table_kwargs", "map?", "null", "", "more of the table's arguments", "later"},
    {"schedule", "map?", "{}", "",
     "which steps are recorded, see `profiler.schedule`; {}: the default; null: all"},
    {"on_trace_ready", "map?", "null", "",
     "write traces as tensorboard_trace_handler does, see `profiler.on_trace_ready`; null: into "
     "dirpath"},
    {"activities", "list[str]?", "null", "one of: cpu, cuda",
     "what is recorded; null: the CPU, and the GPU of a run on one"},
    {"record_shapes", "bool", "false", "", "record the shapes of inputs"},
    {"profile_memory", "bool", "false", "", "record allocations"},
    {"with_stack", "bool", "false", "", "Python's frames: a native run has none"},
    {"with_flops", "bool", "false", "", "estimate operations of matrix products, convolutions"},
    {"with_modules", "bool", "false", "", "TorchScript's module hierarchy"},
    {"acc_events", "bool", "false", "", "keep events of all cycles", "later"},
    {"export_to_flame_graph", "bool", "false", "", "write stacks", "later"},
};

constexpr Class kProfilers[] = {
    {Kind::kProfiler, "SimpleProfiler", kSimple, true,
     "Calls and times of each action. Short: `profiler: simple`."},
    {Kind::kProfiler, "AdvancedProfiler", kAdvanced, true,
     "What ran inside each action. Short: `profiler: advanced`."},
    {Kind::kProfiler, "PyTorchProfiler", kPyTorch, true,
     "LibTorch's operations: a table, and traces. Short: `profiler: pytorch`."},
    {Kind::kProfiler, "XLAProfiler", {}, false, "Profiles TPUs."},
};

}  // namespace

std::span<const Class> profiler_classes() { return kProfilers; }

}  // namespace lctl::jobspec::keys
