// Who watches which job: every committed change and every progress of a watched job goes to its
// watchers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/id.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobs {

// Thread rule: internally locked.
class JobFeed {
 public:
  // Called on the engine's strand, with the feed locked: it keeps the value and returns, and calls
  // nothing of the feed.
  using Sink = std::function<void(std::shared_ptr<const v1::Job>)>;

  // While it lives its sink is called; after its destructor returns, never again.
  class Subscription {
   public:
    Subscription(JobFeed& feed, JobId job, std::uint64_t number)
        : feed_(feed), job_(std::move(job)), number_(number) {}
    ~Subscription() { feed_.drop(job_, number_); }
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

   private:
    JobFeed& feed_;
    const JobId job_;
    const std::uint64_t number_;
  };

  // The feed outlives its subscriptions.
  std::unique_ptr<Subscription> subscribe(const JobId& job, Sink sink);

  // `make` is asked for the job's present state only when somebody watches it.
  void publish(const JobId& job, const std::function<v1::Job()>& make);

 private:
  void drop(const JobId& job, std::uint64_t number);

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::map<JobId, std::map<std::uint64_t, Sink>> sinks_;
  std::uint64_t next_ = 1;
};

}  // namespace lctl::jobs
