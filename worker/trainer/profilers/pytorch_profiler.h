// What LibTorch does inside the actions, as tables and traces: Lightning's PyTorchProfiler.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/profilers/kineto_profile.h"
#include "worker/trainer/profilers/profiler.h"
#include "worker/trainer/profilers/profiler_schedule.h"

namespace lctl {

// Records some steps of a run (its schedule says which) with torch's own profiler, Kineto: every
// operation on the CPU, on a GPU every kernel and copy, and our actions as ranges
// "[pl][profile]<action>". Each recording becomes a Chrome trace (chrome://tracing, Perfetto,
// TensorBoard's profiler plugin), the newest one also the table of the report. Steps of training,
// validation, test and prediction are counted apart; a kind that has been saved once is not
// recorded again. docs/profilers.md has the costs, and what differs from Python. Thread rule: one
// strand only (the training thread).
class PyTorchProfiler final : public Profiler {
 public:
  // torch's and Lightning's arguments and defaults.
  struct Options {
    std::string dirpath;
    std::string filename;
    bool group_by_input_shapes = false;  // with record_shapes: a row for each shape
    bool export_to_chrome = true;
    std::int64_t row_limit = 20;  // of the table; -1 = all
    std::string sort_by_key;      // "" = cpu_time_total, on a GPU cuda_time_total
    bool record_module_names = true;
    // Not given: wait 1, warmup 1, active 3; a run of less than five steps is then recorded whole.
    std::optional<ProfilerSchedule> schedule;
    // Called when a recording is complete, instead of the file
    // dirpath/<stage>-<filename>-<action>.<ns>.pt.trace.json.
    std::function<void(PyTorchProfiler&)> on_trace_ready;
    // "cpu", "cuda"; not given: both where the run is on a GPU.
    std::optional<std::vector<std::string>> activities;
    bool record_shapes = false;
    bool profile_memory = false;
    bool with_stack = false;  // Python's frames: a native run has none
    bool with_flops = false;
    bool with_modules = false;
  };

  PyTorchProfiler() : PyTorchProfiler(Options{}) {}
  // Throws MisconfigurationException for a sort key, std::invalid_argument for a schedule that
  // cannot be.
  explicit PyTorchProfiler(Options options);
  ~PyTorchProfiler() override;

  void start(const Action& action) override;
  // At the end of a *_step: the next step of the schedule. Throws std::runtime_error when a trace
  // cannot be written.
  void stop(const Action& action) override;
  // Recording begins with the first action after it.
  void setup(ProfiledRun run) override;
  std::string summary() override;
  void teardown() override;

  // For on_trace_ready: the recording that is complete. ".gz" compresses. Once for each recording.
  void export_chrome_trace(const std::string& path);

 private:
  enum Step : std::size_t { kTraining, kValidation, kTest, kPredict, kStepKinds };
  struct Range {
    const Action* action = nullptr;
    std::string name;               // "[pl][profile]…"
    std::size_t step = kStepKinds;  // which *_step it is
  };
  Range& range_of(const Action& action);
  void begin();
  void end();
  ProfilerAction next();
  void step(const Action& action, Step kind);
  bool has_too_few_steps(Step kind) const;
  void save_trace(const Action& action);

  Options options_;
  ProfilerSchedule schedule_;
  std::vector<Range> ranges_;  // by Action::index
  bool set_up_ = false;
  std::unique_ptr<KinetoProfile> profile_;

  // ---- the schedule of the run, Lightning's ScheduleWrapper
  bool scheduled_ = true;                  // false: everything is recorded from now on
  std::size_t current_step_ = kStepKinds;  // the kind that ended last
  std::int64_t number_ = 0;                // of the step without a schedule
  std::int64_t steps_[kStepKinds] = {};
  bool saved_[kStepKinds] = {};
  ProfilerAction previous_ = ProfilerAction::kNone;
};

// torch.profiler.tensorboard_trace_handler: <dir_name>/<worker_name>.<ns>.pt.trace.json[.gz], where
// TensorBoard's profiler plugin looks for it. worker_name "" = <host>_<process>.
std::function<void(PyTorchProfiler&)> tensorboard_trace_handler(std::string dir_name,
                                                                std::string worker_name = {},
                                                                bool use_gzip = false);

}  // namespace lctl
