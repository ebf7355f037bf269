#include "server/services/open_calls.h"

namespace lctl::services {

void OpenCalls::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (grpc::ServerContextBase* context : contexts_) context->TryCancel();
  }
  changed_.notify_all();
}

std::size_t OpenCalls::count() const {
  const std::lock_guard lock(mutex_);
  return contexts_.size();
}

OpenCall::OpenCall(OpenCalls& calls, grpc::ServerContextBase& context)
    : calls_(calls), context_(context) {
  const std::lock_guard lock(calls_.mutex_);
  calls_.contexts_.insert(&context_);
  if (calls_.stopping_) context_.TryCancel();
}

OpenCall::~OpenCall() {
  const std::lock_guard lock(calls_.mutex_);
  calls_.contexts_.erase(&context_);
}

bool OpenCall::cancelled() const {
  {
    const std::lock_guard lock(calls_.mutex_);
    if (calls_.stopping_) return true;
  }
  return context_.IsCancelled();
}

bool OpenCall::sleep(Duration pause) {
  {
    std::unique_lock lock(calls_.mutex_);
    if (calls_.changed_.wait_for(lock, pause, [this] { return calls_.stopping_; })) return false;
  }
  return !context_.IsCancelled();
}

}  // namespace lctl::services
