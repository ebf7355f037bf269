// torch.profiler.profile: records spans of a run with LibTorch's Kineto, step by step.
#pragma once

#include <ATen/record_function.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/trainer/profilers/profiler.h"
#include "worker/trainer/profilers/profiler_schedule.h"

namespace torch::autograd::profiler {
struct ProfilerResult;
}

namespace lctl {

// What is recorded beside names and times.
struct KinetoOptions {
  bool cpu = true;
  bool cuda = false;  // kernels and copies; needs LibTorch with CUDA
  bool record_shapes = false;
  bool profile_memory = false;
  bool with_stack = false;
  bool with_flops = false;
  bool with_modules = false;
};

// start(), then step() after each step, then stop(). `next` says after each step what comes; the
// change from one answer to the next prepares, starts, ends or saves a recording, as in torch. Only
// one object of a process may be recording. All ranges that are open when a recording ends, end
// with it. Thread rule: one strand only (the training thread).
class KinetoProfile {
 public:
  // `run` outlives it.
  KinetoProfile(const KinetoOptions& options, const ProfiledRun& run, bool record_steps,
                std::function<ProfilerAction()> next);
  ~KinetoProfile();
  KinetoProfile(const KinetoProfile&) = delete;
  KinetoProfile& operator=(const KinetoProfile&) = delete;

  // Called after a kRecordAndSave step, and at the end of one that was being recorded.
  void on_trace_ready(std::function<void()> save) { save_ = std::move(save); }
  void set_next(std::function<ProfilerAction()> next) { next_ = std::move(next); }

  void start();
  // `number` is that of the step that begins: "ProfilerStep#<number>".
  void step(std::int64_t number);
  void stop();

  // A named range of the trace; nothing unless something is being recorded. By address of `key`.
  void begin_range(const void* key, std::string_view name);
  void end_range(const void* key);

  // Of the trace that is being made or was made last: one more key at its top.
  void add_metadata(const std::string& key, const std::string& json);

  // The newest finished recording; null when there is none.
  const torch::autograd::profiler::ProfilerResult* result() const { return result_.get(); }
  bool prepared_once() const { return prepared_once_; }
  // Writes it as a Chrome trace, once. Throws std::runtime_error when that fails.
  void export_chrome_trace(const std::string& path);

 private:
  enum class Next : std::uint8_t { kNone, kWarmup, kRecord, kRecordAndSave, kEnd };
  void change(ProfilerAction before, Next now);
  void prepare();
  void start_recording();
  void stop_recording();

  const KinetoOptions options_;
  const ProfiledRun& run_;
  const bool record_steps_;
  std::function<ProfilerAction()> next_;
  std::function<void()> save_;
  ProfilerAction current_ = ProfilerAction::kNone;
  std::string trace_id_;
  bool recording_ = false;
  bool prepared_once_ = false;
  std::unordered_map<const void*, std::unique_ptr<at::RecordFunction>> ranges_;
  std::unique_ptr<torch::autograd::profiler::ProfilerResult> result_;
};

}  // namespace lctl
