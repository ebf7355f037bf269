// A run under SLURM: Lightning's SLURMEnvironment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace lctl {

// srun has started this process (SLURM_NTASKS is set), and no interactive session (a job named bash
// or interactive).
bool under_srun();

// Says so when there is an srun in PATH and it is not used: several tasks would not find together.
void warn_of_unused_srun(std::string_view program);

// Whether the run saves and requeues itself on SIGUSR1: under srun, and not under torchrun.
bool requeues_itself();

// `scontrol requeue` for this job or array task; says how it went. Waits for the command. Throws
// std::runtime_error when SLURM_JOB_ID is no job number.
void requeue_job();

// The first host of a node list: "host[5-9],other" gives "host5".
std::string first_host(std::string nodes);

// ---- `hpc_ckpt_<n>.ckpt` in a run's default_root_dir; ckpt_path "hpc" is the newest
std::string hpc_checkpoint_path(const std::filesystem::path& folder, std::int64_t number);
std::optional<std::int64_t> newest_hpc_checkpoint(const std::filesystem::path& folder);

}  // namespace lctl
