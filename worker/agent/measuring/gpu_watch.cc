#include "worker/agent/measuring/gpu_watch.h"

#include <utility>
#include <vector>

#include "base/log.h"

namespace lctl::agent {

GpuWatch::GpuWatch(Options options) : options_(std::move(options)) {
  if (options_.every <= Duration::zero()) return;
  auto opened = GpuLibrary::open(options_.gpu_library);
  if (!opened.ok()) return;
  std::string ignored;
  const std::size_t count = (*opened)->list(&ignored).size();
  if (count == 0) return;
  for (unsigned i = 0; i < count; ++i) judges_[i];
  gpus_ = *std::move(opened);
  gpus_->watch_xids();
  thread_ = std::thread([this] { run(); });
}

GpuWatch::~GpuWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void GpuWatch::run() {
  std::unique_lock lock(mutex_);
  do {
    lock.unlock();
    look();
    lock.lock();
  } while (!changed_.wait_for(lock, options_.every, [this] { return ending_; }));
}

void GpuWatch::look() {
  const std::map<unsigned, std::vector<std::uint64_t>> xids = gpus_->take_xids();
  GpuFaults faults;
  for (auto& [index, judge] : judges_) {
    const auto news = xids.find(index);
    std::string why = judge.judge(gpus_->signs(index),
                                  news == xids.end() ? std::vector<std::uint64_t>() : news->second);
    if (why.empty()) continue;
    // Heat is told when it begins: its degrees change all the time.
    const auto before = told_.find(index);
    faults.emplace(index, before == told_.end() ? std::move(why) : before->second);
  }
  if (faults == told_) return;
  for (const auto& [index, why] : faults) {
    if (!told_.contains(index)) logger("gpu").error("GPU {} must not be used: {}", index, why);
  }
  for (const auto& [index, why] : told_) {
    if (!faults.contains(index)) logger("gpu").info("GPU {} may be used again", index);
  }
  told_ = faults;
  options_.changed(told_);
}

}  // namespace lctl::agent
