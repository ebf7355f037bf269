#include "server/services/job_watch.h"

#include <grpcpp/alarm.h>

#include <optional>
#include <utility>
#include <vector>

#include "server/services/status.h"
#include "storage/jobs/job_store.h"

namespace lctl::services {
namespace {

constexpr std::int64_t kProgressIntervalMs = 100;

}  // namespace

// One stream. Holds itself until gRPC is done with it. A subscription is dropped outside of mutex_:
// the feed calls its sinks with its own lock held.
class JobWatches::Watch final : public grpc::ServerWriteReactor<v1::Job>,
                                public std::enable_shared_from_this<Watch> {
 public:
  Watch(JobWatches& watches, std::string job) : watches_(watches), job_(std::move(job)) {}

  void begin() {
    self_ = shared_from_this();
    watches_.enter(self_);
    const bool posted = watches_.sources_.strand.post([self = self_] { self->subscribe(); });
    if (!posted) end(absl::UnavailableError("the server is shutting down"));
  }

  void end(absl::Status status) {
    const std::lock_guard lock(mutex_);
    if (!ending_) ending_ = std::move(status);
    pending_.reset();
    finish_when_idle_locked();
  }

 private:
  // On the strand, so that no change falls between the present state and the subscription.
  void subscribe() {
    const WatchSources& sources = watches_.sources_;
    const auto id = sources.store.jobs().resolve(job_);
    if (!id.ok()) return end(id.status());
    auto now = sources.engine.get(*id);
    if (!now.ok()) return end(now.status());
    auto subscription =
        sources.feed.subscribe(*id, [weak = weak_from_this()](std::shared_ptr<const v1::Job> job) {
          if (const auto watch = weak.lock()) watch->offer(std::move(job));
        });
    {
      const std::lock_guard lock(mutex_);
      if (!done_) subscription_.swap(subscription);
    }
    offer(std::make_shared<const v1::Job>(*std::move(now)));
  }

  void offer(std::shared_ptr<const v1::Job> job) {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    pending_ = std::move(job);
    write_next_locked();
  }

  void write_next_locked() {
    if (writing_ != nullptr || pending_ == nullptr || finished_) return;
    // A change of state goes out at once, progress when its time has come.
    if (resting_ && pending_->state() == last_state_) return;
    writing_ = std::move(pending_);
    pending_.reset();
    last_state_ = writing_->state();
    if (jobs::is_final(last_state_)) ending_ = absl::OkStatus();
    StartWrite(writing_.get());
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_.reset();
    if (!ok && !ending_) ending_ = absl::CancelledError("the client has gone");
    if (!ending_ && !resting_) {
      resting_ = true;
      // Weak: the alarm keeps its callback, also when it has fired.
      alarm_.Set(gpr_time_from_millis(kProgressIntervalMs, GPR_TIMESPAN),
                 [weak = weak_from_this()](bool) {
                   if (const auto watch = weak.lock()) watch->rested();
                 });
    }
    write_next_locked();
    finish_when_idle_locked();
  }

  void rested() {
    const std::lock_guard lock(mutex_);
    resting_ = false;
    write_next_locked();
  }

  void OnCancel() override { end(absl::CancelledError("the client has gone")); }

  void OnDone() override {
    watches_.leave(this);
    std::unique_ptr<jobs::JobFeed::Subscription> subscription;
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
      subscription_.swap(subscription);
    }
    subscription.reset();
    const std::shared_ptr<Watch> last = std::move(self_);
  }

  void finish_when_idle_locked() {
    if (!ending_ || writing_ != nullptr || finished_) return;
    finished_ = true;
    Finish(to_grpc(*ending_));
  }

  JobWatches& watches_;
  const std::string job_;
  std::shared_ptr<Watch> self_;  // until OnDone

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::unique_ptr<jobs::JobFeed::Subscription> subscription_;
  std::shared_ptr<const v1::Job> pending_;  // newest state that was not written
  std::shared_ptr<const v1::Job> writing_;
  v1::JobState last_state_ = v1::JOB_STATE_UNSPECIFIED;  // of the last one written
  bool resting_ = false;
  grpc::Alarm alarm_;
  std::optional<absl::Status> ending_;
  bool finished_ = false;
  bool done_ = false;
};

grpc::ServerWriteReactor<v1::Job>* JobWatches::open(std::string job) {
  const auto watch = std::make_shared<Watch>(*this, std::move(job));
  watch->begin();
  return watch.get();
}

void JobWatches::enter(const std::shared_ptr<Watch>& watch) {
  bool stopping = false;
  {
    const std::lock_guard lock(mutex_);
    open_.emplace(watch.get(), watch);
    stopping = stopping_;
  }
  if (stopping) watch->end(absl::UnavailableError("the server is shutting down"));
}

void JobWatches::leave(const Watch* watch) {
  const std::lock_guard lock(mutex_);
  open_.erase(watch);
}

void JobWatches::shutdown() {
  std::vector<std::shared_ptr<Watch>> all;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [key, weak] : open_) {
      if (auto watch = weak.lock()) all.push_back(std::move(watch));
    }
  }
  for (const auto& watch : all) watch->end(absl::UnavailableError("the server is shutting down"));
}

}  // namespace lctl::services
