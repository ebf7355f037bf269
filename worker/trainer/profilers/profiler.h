// Measures where the time of a run goes: Lightning's Profiler.
//
//   TrainerOptions options{.profiler = "simple"};
//   options.profiler = std::make_shared<PyTorchProfiler>(PyTorchProfiler::Options{…});
//
// The trainer makes every hook call, batch fetch and checkpoint an action of its profiler; a
// program may add its own:
//
//   const ActionScope scope(trainer()->profiler(), "load the pictures");
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lctl {

// Something that is measured. Its name is made once; the object stays where it is while its
// profiler lives.
struct Action {
  std::string name;       // "[LightningModule]Classifier.on_train_start"
  std::size_t index = 0;  // 0, 1, 2, … in the order in which the profiler has met them
};

// What a profiler learns of the run before it. Immutable.
struct ProfiledRun {
  std::string stage;              // "fit", "validate", "test", "predict"
  std::optional<int> local_rank;  // only with several ranks
  std::string log_dir;            // where reports go that name no folder of their own
  std::string device = "cpu";     // or "cuda"
  std::string distributed;        // JSON for traces: backend, rank, world size; "" with one rank
  // Waits until the device has done everything asked of it. Empty = nothing to wait for.
  std::function<void()> synchronize;
  // Batches that the run has for "training_step", "validation_step", … Empty = unknown.
  std::function<std::int64_t(std::string_view step)> total_steps;
};

// Actions may nest; they end in the opposite order. One profiler serves one trainer, for as many
// runs as that makes: setup(), actions, describe(). Errors are exceptions.
// Thread rule: one strand only (the training thread).
class Profiler {
 public:
  // A report goes to dirpath/<stage>-<filename>[-<local rank>].txt, at its end, when `filename` is
  // not empty; else to the log (stderr of rank 0). dirpath "": the run's log_dir.
  struct Place {
    std::string dirpath;
    std::string filename;
  };

  explicit Profiler(Place place = {}) : place_(std::move(place)) {}
  virtual ~Profiler() = default;
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  // The action of that name.
  const Action& action(std::string_view name);

  virtual void start(const Action& action) = 0;
  virtual void stop(const Action& action) = 0;

  // Before a run. Actions may have come already (configure_callbacks).
  virtual void setup(ProfiledRun run);
  // What was measured, as text; "" = nothing to say.
  virtual std::string summary() { return {}; }
  // Writes summary() to its place and forgets the run. Throws std::runtime_error with the path when
  // that cannot be written.
  void describe();
  // After a run; what is still being recorded ends. May be called more than once.
  virtual void teardown() {}

 protected:
  const ProfiledRun& run() const { return run_; }
  const std::string& dirpath() const { return place_.dirpath; }
  // "fit-perf-0-<action>.txt": what of these there is, with characters that files cannot have
  // replaced by one "_".
  std::string prepare_filename(std::string_view action, std::string_view extension) const;
  // "FIT Profiler Report", or without a stage before the first run.
  std::string title() const;

 private:
  Place place_;
  ProfiledRun run_;
  std::deque<Action> actions_;
  std::map<std::string, Action*, std::less<>> by_name_;
};

// An action while it lives; nothing without a profiler (two predictable branches).
// An error of stop() is thrown, but for one while another exception is on its way: that is a
// warning. Thread rule: one strand only.
class ActionScope {
 public:
  // `profiler`, and with it `action`, may be null; both outlive the scope.
  ActionScope(Profiler* profiler, const Action* action)
      : profiler_(action != nullptr ? profiler : nullptr), action_(action) {
    if (profiler_ != nullptr) [[unlikely]]
      begin();
  }
  ActionScope(Profiler* profiler, std::string_view name)
      : ActionScope(profiler, profiler == nullptr ? nullptr : &profiler->action(name)) {}
  ~ActionScope() noexcept(false) {
    if (profiler_ != nullptr) [[unlikely]]
      end();
  }
  ActionScope(const ActionScope&) = delete;
  ActionScope& operator=(const ActionScope&) = delete;

 private:
  void begin();
  void end();

  Profiler* const profiler_;
  const Action* const action_;
  int exceptions_ = 0;  // on their way when the scope began
};

}  // namespace lctl
