#include "worker/agent/measuring/node_meter.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"
#include "worker/agent/run_folder.h"

namespace lctl::agent {

NodeMeter::NodeMeter(Options options) : options_(std::move(options)) {
  if (options_.every <= Duration::zero()) return;
  if (auto opened = GpuLibrary::open(options_.gpu_library); opened.ok()) gpus_ = *std::move(opened);
  thread_ = std::thread([this] { run(); });
}

NodeMeter::~NodeMeter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void NodeMeter::add(const AttemptId& attempt, const std::filesystem::path& log,
                    std::vector<RankProcess> ranks) {
  if (options_.every <= Duration::zero()) return;
  auto opened = spool::SpoolWriter::open({.file = log});
  if (!opened.ok()) {
    logger("meter").warn("{} is not measured: {}", attempt.str(), message_of(opened.status()));
    return;
  }
  const std::lock_guard lock(mutex_);
  const NodeReading first = read(read_host(options_.data_dir), ranks);
  attempts_.insert_or_assign(
      attempt,
      Measured{
          .log = *std::move(opened), .ranks = std::move(ranks), .first = first, .before = first});
}

void NodeMeter::remove(const AttemptId& attempt) {
  const std::lock_guard lock(mutex_);
  attempts_.erase(attempt);
}

void NodeMeter::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, options_.every, [this] { return ending_; })) {
    lock.unlock();
    measure();
    lock.lock();
  }
}

void NodeMeter::measure() {
  const std::lock_guard lock(mutex_);
  if (attempts_.empty()) return;
  const HostReading host = read_host(options_.data_dir);
  for (auto& [attempt, measured] : attempts_) {
    if (measured.log == nullptr) continue;
    const NodeReading now = read(host, measured.ranks);
    if (const absl::Status status = append(measured, now); !status.ok()) {
      logger("meter").warn("{} is measured no longer: {}", attempt.str(), message_of(status));
      measured.log.reset();
    }
    measured.before = now;
  }
}

NodeReading NodeMeter::read(const HostReading& host, const std::vector<RankProcess>& ranks) const {
  NodeReading reading{
      .seconds =
          std::chrono::duration<double>(system_clock().monotonic_now().time_since_epoch()).count(),
      .host = host};
  for (const RankProcess& each : ranks) {
    if (process_start_time(each.pid) != each.start) continue;
    reading.ranks[each.rank] = read_process(each.pid);
    if (each.gpu.has_value() && gpus_ != nullptr) reading.gpus[*each.gpu] = gpus_->read(*each.gpu);
  }
  return reading;
}

absl::Status NodeMeter::append(Measured& measured, const NodeReading& now) const {
  v1::Event event;
  event.set_time_us(unix_micros(system_clock().wall_now()));
  v1::MetricPoints& points = *event.mutable_metrics();
  for (const auto& [name, value] : node_values(measured.first, measured.before, now)) {
    points.add_keys(fmt::format("system/{}/{}", options_.node, name));
    points.add_values(value);
  }
  return measured.log->append(event).status();
}

}  // namespace lctl::agent
