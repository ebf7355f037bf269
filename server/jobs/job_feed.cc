#include "server/jobs/job_feed.h"

#include <utility>

namespace lctl::jobs {

std::unique_ptr<JobFeed::Subscription> JobFeed::subscribe(const JobId& job, Sink sink) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = next_++;
  sinks_[job].emplace(number, std::move(sink));
  return std::make_unique<Subscription>(*this, job, number);
}

void JobFeed::publish(const JobId& job, const std::function<v1::Job()>& make) {
  const std::lock_guard lock(mutex_);
  const auto found = sinks_.find(job);
  if (found == sinks_.end()) return;
  const auto value = std::make_shared<const v1::Job>(make());
  for (const auto& [number, sink] : found->second) sink(value);
}

void JobFeed::drop(const JobId& job, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = sinks_.find(job);
  found->second.erase(number);
  if (found->second.empty()) sinks_.erase(found);
}

}  // namespace lctl::jobs
