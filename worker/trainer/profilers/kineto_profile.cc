#include "worker/trainer/profilers/kineto_profile.h"

#include <fmt/format.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <filesystem>
#include <random>
#include <set>
#include <stdexcept>

#include "worker/trainer/core/console.h"

// Its header (torch/csrc/profiler/kineto_shim.h) is not made for use outside of torch's own build.
namespace torch::autograd::profiler {
TORCH_API void addMetadataJson(const std::string& key, const std::string& value);
}

namespace lctl {
namespace {

using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

// 32 hexadecimal digits. Not from torch's generators: a profiler changes no bits of a run.
std::string random_trace_id() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) id += fmt::format("{:08X}", device());
  return id;
}

ProfilerConfig config_of(const KinetoOptions& options, const std::string& trace_id) {
  return ProfilerConfig(ProfilerState::KINETO, options.record_shapes, options.profile_memory,
                        options.with_stack, options.with_flops, options.with_modules, {}, trace_id);
}

std::set<ActivityType> activities_of(const KinetoOptions& options) {
  std::set<ActivityType> activities;
  if (options.cpu) activities.insert(ActivityType::CPU);
  if (options.cuda) activities.insert(ActivityType::CUDA);
  return activities;
}

}  // namespace

KinetoProfile::KinetoProfile(const KinetoOptions& options, const ProfiledRun& run,
                             bool record_steps, std::function<ProfilerAction()> next)
    : options_(options), run_(run), record_steps_(record_steps), next_(std::move(next)) {
  current_ = next_();
}

KinetoProfile::~KinetoProfile() {
  // Kineto is the process's: a recording that nobody stopped would go on for ever.
  ranges_.clear();
  if (recording_) torch::autograd::profiler::disableProfiler();
}

void KinetoProfile::start() {
  change(ProfilerAction::kNone, static_cast<Next>(current_));
  if (record_steps_) begin_range(this, "ProfilerStep#0");
}

void KinetoProfile::step(std::int64_t number) {
  end_range(this);
  const ProfilerAction before = current_;
  current_ = next_();
  change(before, static_cast<Next>(current_));
  if (record_steps_) begin_range(this, fmt::format("ProfilerStep#{}", number));
}

void KinetoProfile::stop() {
  end_range(this);
  change(current_, Next::kEnd);
  current_ = ProfilerAction::kNone;
}

// torch.profiler.profile's action_map.
void KinetoProfile::change(ProfilerAction before, Next now) {
  const bool records = now == Next::kRecord || now == Next::kRecordAndSave;
  const auto save = [this] {
    if (save_) save_();
  };
  switch (before) {
    case ProfilerAction::kNone:
      if (now == Next::kWarmup || records) prepare();
      if (records) start_recording();
      return;
    case ProfilerAction::kWarmup:
      if (now == Next::kWarmup) return;
      if (now == Next::kNone) console::warn("Incorrect schedule: WARMUP followed by NONE");
      start_recording();
      if (!records) stop_recording();
      return;
    case ProfilerAction::kRecord:
      if (records) return;
      if (now == Next::kNone) console::warn("Incorrect schedule: RECORD followed by NONE");
      if (now == Next::kWarmup) console::warn("Incorrect schedule: RECORD followed by WARMUP");
      stop_recording();
      if (now == Next::kEnd) save();
      return;
    case ProfilerAction::kRecordAndSave:
      stop_recording();
      save();
      if (now == Next::kWarmup || records) prepare();
      if (records) start_recording();
      return;
  }
}

void KinetoProfile::prepare() {
  result_.reset();
  trace_id_ = random_trace_id();
  torch::autograd::profiler::prepareProfiler(config_of(options_, trace_id_),
                                             activities_of(options_));
  prepared_once_ = true;
}

void KinetoProfile::start_recording() {
  if (recording_) return;
  // After "RECORD followed by WARMUP" nothing was prepared.
  if (trace_id_.empty()) prepare();
  torch::autograd::profiler::enableProfiler(config_of(options_, trace_id_),
                                            activities_of(options_));
  recording_ = true;
  if (options_.profile_memory) add_metadata("profile_memory", "1");
  if (options_.with_stack) add_metadata("with_stack", "1");
  if (options_.record_shapes) add_metadata("record_shapes", "1");
  if (options_.with_modules) add_metadata("with_modules", "1");
  if (options_.with_flops) add_metadata("with_flops", "1");
  if (!run_.distributed.empty()) add_metadata("distributedInfo", run_.distributed);
}

void KinetoProfile::stop_recording() {
  if (!recording_) return;
  // A range that would end in a later recording would write to this one's memory.
  ranges_.clear();
  if (options_.cuda && run_.synchronize) run_.synchronize();
  result_ = torch::autograd::profiler::disableProfiler();
  recording_ = false;
  trace_id_.clear();
}

void KinetoProfile::begin_range(const void* key, std::string_view name) {
  if (!recording_) return;
  std::unique_ptr<at::RecordFunction>& range = ranges_[key];
  if (range) return;
  range = std::make_unique<at::RecordFunction>(at::RecordScope::USER_SCOPE);
  if (range->isActive()) range->before(name);
}

void KinetoProfile::end_range(const void* key) { ranges_.erase(key); }

void KinetoProfile::add_metadata(const std::string& key, const std::string& json) {
  if (prepared_once_) torch::autograd::profiler::addMetadataJson(key, json);
}

void KinetoProfile::export_chrome_trace(const std::string& path) {
  if (!result_) throw std::runtime_error("PyTorchProfiler: there is no recording to write");
  result_->save(path);
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error("PyTorchProfiler: the trace cannot be written to " + path);
  }
}

}  // namespace lctl
