#include "worker/agent/cancellation.h"

#include <algorithm>

namespace lctl::agent {

void Cancellation::cancel_until(MonotonicTime until) {
  const std::lock_guard lock(mutex_);
  until_ = std::max(until_, until);
  for (grpc::ClientContext* call : calls_) call->TryCancel();
}

bool Cancellation::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_now();
}

Cancellation::Call::Call(Cancellation& cancellation, grpc::ClientContext& context)
    : cancellation_(cancellation), context_(context) {
  const std::lock_guard lock(cancellation_.mutex_);
  cancellation_.calls_.insert(&context_);
  if (cancellation_.cancelled_now()) context_.TryCancel();
}

Cancellation::Call::~Call() {
  const std::lock_guard lock(cancellation_.mutex_);
  cancellation_.calls_.erase(&context_);
}

}  // namespace lctl::agent
