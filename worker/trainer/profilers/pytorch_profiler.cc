#include "worker/trainer/profilers/pytorch_profiler.h"

#include <c10/util/ApproximateClock.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/profilers/key_averages.h"
#include "worker/trainer/profilers/module_scope.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kStepNames = {"training_step", "validation_step",
                                                        "test_step", "predict_step"};
constexpr std::string_view kTraceEnding = ".pt.trace.json";
// The default schedule's: it never saves with less.
constexpr std::int64_t kFewestSteps = 5;

// A name that no earlier trace has: nanoseconds since 1970.
std::string trace_path(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / fmt::format("{}.{}{}", name, c10::getTimeSinceEpoch(), kTraceEnding))
      .string();
}

void compress(const std::string& from, const std::string& to) {
  std::ifstream in(from, std::ios::binary);
  gzFile out = gzopen(to.c_str(), "wb");
  bool good = out != nullptr;
  std::array<char, 65536> block;
  while (good && (in.read(block.data(), block.size()), in.gcount() > 0)) {
    const auto size = static_cast<unsigned>(in.gcount());
    good = gzwrite(out, block.data(), size) == static_cast<int>(size);
  }
  if (out != nullptr) good = gzclose(out) == Z_OK && good;
  std::error_code ignored;
  fs::remove(from, ignored);
  if (!good) throw std::runtime_error("PyTorchProfiler: the trace cannot be written to " + to);
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

PyTorchProfiler::PyTorchProfiler(Options options)
    : Profiler({options.dirpath, options.filename}),
      options_(std::move(options)),
      schedule_(options_.schedule.value_or(ProfilerSchedule{})) {
  if (!options_.sort_by_key.empty() && !is_sort_key(options_.sort_by_key)) {
    throw MisconfigurationException(fmt::format("Found sort_by_key: {}. Should be within {{{}}}. ",
                                                options_.sort_by_key, sort_keys()));
  }
  schedule_.check();
  if (schedule_.warmup == 0 && !schedule_.everything) {
    console::warn("Profiler won't be using warmup, this can skew profiler results");
  }
  if (options_.with_stack) {
    console::warn(
        "PyTorchProfiler(with_stack=True): stacks are Python's, a native run has none; the trace "
        "is "
        "as without it");
  }
}

PyTorchProfiler::~PyTorchProfiler() {
  // No trace is written here: a run that failed has none.
  if (profile_) module_names_recorded = false;
}

PyTorchProfiler::Range& PyTorchProfiler::range_of(const Action& action) {
  if (action.index >= ranges_.size()) ranges_.resize(action.index + 1);
  Range& range = ranges_[action.index];
  if (range.action == nullptr) {
    range.action = &action;
    range.name = "[pl][profile]" + action.name;
    const auto kind =
        std::find_if(kStepNames.begin(), kStepNames.end(),
                     [&](std::string_view name) { return action.name.ends_with(name); });
    range.step = static_cast<std::size_t>(kind - kStepNames.begin());
  }
  return range;
}

void PyTorchProfiler::setup(ProfiledRun run) {
  end();  // of a run that failed
  Profiler::setup(std::move(run));
  set_up_ = true;
}

void PyTorchProfiler::begin() {
  scheduled_ = !schedule_.everything;
  current_step_ = kStepKinds;
  number_ = 0;
  std::fill(std::begin(steps_), std::end(steps_), 0);
  std::fill(std::begin(saved_), std::end(saved_), false);
  previous_ = ProfilerAction::kNone;
  const bool gpu = run().device == "cuda";
  KinetoOptions kineto;
  kineto.cpu = !options_.activities || contains(*options_.activities, "cpu");
  kineto.cuda = gpu && (!options_.activities || contains(*options_.activities, "cuda"));
  kineto.record_shapes = options_.record_shapes;
  kineto.profile_memory = options_.profile_memory;
  kineto.with_stack = options_.with_stack;
  kineto.with_flops = options_.with_flops;
  kineto.with_modules = options_.with_modules;
  profile_ = std::make_unique<KinetoProfile>(kineto, run(), scheduled_, [this] { return next(); });
  profile_->start();
  module_names_recorded = options_.record_module_names;
}

void PyTorchProfiler::end() {
  if (!profile_) return;
  module_names_recorded = false;
  profile_.reset();
}

void PyTorchProfiler::start(const Action& action) {
  if (!set_up_) return;
  if (!profile_) begin();
  profile_->begin_range(&action, range_of(action).name);
}

void PyTorchProfiler::stop(const Action& action) {
  if (!profile_) return;
  profile_->end_range(&action);
  const Range& range = range_of(action);
  if (range.step != kStepKinds) step(action, static_cast<Step>(range.step));
}

ProfilerAction PyTorchProfiler::next() {
  if (!scheduled_) return ProfilerAction::kRecord;
  if (current_step_ == kStepKinds || saved_[current_step_]) return ProfilerAction::kNone;
  ProfilerAction action = schedule_.at(++steps_[current_step_]);
  // One kind of step was being recorded when another, which is at its warmup, took over.
  if (previous_ == ProfilerAction::kRecord && action == ProfilerAction::kWarmup)
    action = ProfilerAction::kRecord;
  if (action == ProfilerAction::kRecordAndSave) saved_[current_step_] = true;
  previous_ = action;
  return action;
}

bool PyTorchProfiler::has_too_few_steps(Step kind) const {
  return scheduled_ && !options_.schedule && run().total_steps &&
         run().total_steps(kStepNames[kind]) < kFewestSteps;
}

void PyTorchProfiler::step(const Action& action, Step kind) {
  current_step_ = kind;
  if (has_too_few_steps(kind)) {
    console::warn(
        "The PyTorch Profiler default schedule will be overridden as there is not enough steps to "
        "properly record traces.");
    scheduled_ = false;
  }
  profile_->on_trace_ready([this, &action] { save_trace(action); });
  if (scheduled_) number_ = steps_[kind];
  profile_->step(++number_);
  profile_->add_metadata("Framework", "\"pytorch-lightning\"");
}

void PyTorchProfiler::save_trace(const Action& action) {
  if (options_.on_trace_ready) {
    options_.on_trace_ready(*this);
  } else if (dirpath().empty()) {
    console::warn("The PyTorchProfiler failed to export trace as `dirpath` is None");
  } else if (options_.export_to_chrome) {
    export_chrome_trace(trace_path(dirpath(), prepare_filename(action.name, "")));
  }
}

void PyTorchProfiler::export_chrome_trace(const std::string& path) {
  if (!profile_) throw std::runtime_error("PyTorchProfiler: there is no recording to write");
  std::error_code ignored;  // the write says it better
  if (const fs::path folder = fs::path(path).parent_path(); !folder.empty())
    fs::create_directories(folder, ignored);
  if (!path.ends_with(".gz")) return profile_->export_chrome_trace(path);
  const std::string plain = path.substr(0, path.size() - 3);
  profile_->export_chrome_trace(plain);
  compress(plain, path);
}

std::string PyTorchProfiler::summary() {
  if (!profile_) return {};
  profile_->stop();
  if (profile_->result() == nullptr) {
    if (!profile_->prepared_once()) {
      console::warn(
          "PyTorchProfiler: nothing was recorded: the run was over before the first step that the "
          "schedule records");
    }
    return {};
  }
  const bool gpu = run().device == "cuda";
  KeyAveragesTable layout;
  layout.sort_by = !options_.sort_by_key.empty() ? options_.sort_by_key
                   : gpu                         ? "cuda_time_total"
                                                 : "cpu_time_total";
  layout.row_limit = options_.row_limit;
  layout.profile_memory = options_.profile_memory;
  layout.with_flops = options_.with_flops;
  layout.device = gpu ? "CUDA" : "";
  const bool by_shapes = options_.group_by_input_shapes && options_.record_shapes;
  const std::string table = table_of(key_averages(*profile_->result(), gpu, by_shapes), layout);
  if (table.empty()) return {};
  std::string text = title() + "\nProfile stats for: records";
  if (run().local_rank) text += fmt::format(" rank: {}", *run().local_rank);
  return text + "\n" + table;
}

void PyTorchProfiler::teardown() {
  end();
  set_up_ = false;
}

std::function<void(PyTorchProfiler&)> tensorboard_trace_handler(std::string dir_name,
                                                                std::string worker_name,
                                                                bool use_gzip) {
  if (worker_name.empty()) {
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    worker_name = fmt::format("{}_{}", host.data(), getpid());
  }
  return [dir_name = std::move(dir_name), worker_name = std::move(worker_name),
          use_gzip](PyTorchProfiler& profiler) {
    profiler.export_chrome_trace(trace_path(dir_name, worker_name) + (use_gzip ? ".gz" : ""));
  };
}

}  // namespace lctl
