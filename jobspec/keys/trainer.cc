// Arguments of Lightning's Trainer.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr std::string_view kBatches =
    "batches";  // an int counts batches, a float is a share of them

constexpr Argument kArguments[] = {
    {"accelerator", "str", "auto", "one of: auto, cpu, gpu, cuda, mps, tpu",
     "where to compute; auto is a GPU where the node has one", "only: auto, cpu, gpu, cuda"},
    {"strategy", "str", "auto",
     "one of: auto, ddp, ddp_find_unused_parameters_false, ddp_find_unused_parameters_true, "
     "ddp_spawn, "
     "ddp_fork, ddp_notebook, fsdp, fsdp_cpu_offload, deepspeed, deepspeed_stage_1, "
     "deepspeed_stage_2, "
     "deepspeed_stage_3, single_device",
     "how ranks work together; auto is ddp for more than one rank",
     "only: auto, ddp, ddp_find_unused_parameters_false, ddp_find_unused_parameters_true"},
    {"devices", "int|str|list[int]", "auto", "devices",
     "ranks on each node: a number, `auto`, or device ids as a list or as \"0,2\""},
    {"num_nodes", "int", "1", ">= 1", "nodes"},
    {"precision", "int|str", "32-true",
     "one of: 32-true, 32, 64-true, 64, 16-mixed, 16, bf16-mixed, bf16, 16-true, bf16-true, "
     "transformer-engine, transformer-engine-float16",
     "number formats",
     "only: 32-true, 32, 64-true, 64, 16-mixed, 16, bf16-mixed, bf16, bf16-true, 16-true"},
    {"logger", "logger", "true", "", "true, false, one logger or a list of loggers"},
    {"callbacks", "callbacks", "[]", "", "one callback or a list of them, called in this order"},
    {"fast_dev_run", "bool|int", "false", ">= 0",
     "run so many batches of everything and save nothing; true is 1"},
    {"max_epochs", "int?", "null", ">= -1",
     "stop after so many epochs; null is 1000 without max_steps; -1 never"},
    {"min_epochs", "int?", "null", ">= 0", "do not stop early before"},
    {"max_steps", "int", "-1", ">= -1", "stop after so many optimizer steps; -1 never"},
    {"min_steps", "int?", "null", ">= 0", "do not stop early before"},
    {"max_time", "time?", "null", "", "stop after this wall time"},
    {"limit_train_batches", "int|float", "1.0", kBatches, "train on so many batches of each epoch"},
    {"limit_val_batches", "int|float", "1.0", kBatches,
     "validate on so many; 0 turns validation off"},
    {"limit_test_batches", "int|float", "1.0", kBatches, "test on so many"},
    {"limit_predict_batches", "int|float", "1.0", kBatches, "predict so many"},
    {"overfit_batches", "int|float", "0.0", kBatches,
     "train and validate on the same first so many"},
    {"val_check_interval", "int|float|time", "1.0", kBatches,
     "validate after so many batches, after a share of the epoch, or after a wall time"},
    {"check_val_every_n_epoch", "int?", "1", ">= 1",
     "validate in every n-th epoch; null counts batches over epochs"},
    {"num_sanity_val_steps", "int", "2", ">= -1", "validation batches before training; -1 all"},
    {"log_every_n_steps", "int", "50", ">= 0", "log training values at every n-th step; 0 never"},
    {"enable_checkpointing", "bool", "true", "", "add a ModelCheckpoint when there is none"},
    {"enable_progress_bar", "bool", "true", "", "show a progress bar"},
    {"enable_model_summary", "bool", "true", "", "print the layers before training"},
    {"accumulate_grad_batches", "int", "1", ">= 1", "batches for each optimizer step"},
    {"gradient_clip_val", "float?", "null", "", "clip gradients to this; null or <= 0 does not"},
    {"gradient_clip_algorithm", "str?", "null", "one of: norm, value", "null is norm"},
    {"deterministic", "bool|str?", "null", "one of: warn",
     "refuse operations that are not deterministic"},
    {"benchmark", "bool?", "null", "", "let cuDNN try its algorithms"},
    {"inference_mode", "bool", "true", "", "evaluate under inference_mode, else under no_grad"},
    {"use_distributed_sampler", "bool", "true", "", "give each rank its share of the data"},
    {"profiler", "profiler", "null", "",
     "measure where time goes: simple, advanced, pytorch, or one of the profilers below"},
    {"detect_anomaly", "bool", "false", "", "stop at the first NaN in a backward pass"},
    {"barebones", "bool", "false", "", "turn everything off that costs time, to measure raw speed"},
    {"plugins", "list?", "null", "", "Python plugins", "later"},
    {"sync_batchnorm", "bool", "false", "",
     "BatchNorm layers train on the batch of all ranks together"},
    {"reload_dataloaders_every_n_epochs", "int", "0", ">= 0",
     "make new loaders every n epochs; 0 never"},
    {"default_root_dir", "str?", "null", "",
     "folder of logs and checkpoints; null is the working folder"},
    {"enable_autolog_hparams", "bool", "true", "", "write hyper-parameters to the loggers"},
    {"async_checkpoint", "bool", "true", "",
     "write checkpoints while training goes on; needs memory for one or two of them"},
    {"model_registry", "str?", "null", "", "Lightning's cloud", "later"},
};

}  // namespace

const Class kTrainerSection = {Kind::kSection, "trainer", kArguments, true,
                               "Arguments of Lightning's Trainer."};

}  // namespace lctl::jobspec::keys
