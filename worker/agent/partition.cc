#include "worker/agent/partition.h"

namespace lctl::agent {

void Partition::begin(Duration duration) {
  const std::lock_guard lock(mutex_);
  until_ = system_clock().monotonic_now() + duration;
  for (grpc::ClientContext* context : calls_) context->TryCancel();
}

bool Partition::cut() const {
  const std::lock_guard lock(mutex_);
  return cut_now();
}

Partition::Call::Call(Partition& partition, grpc::ClientContext& context)
    : partition_(partition), context_(context) {
  const std::lock_guard lock(partition_.mutex_);
  partition_.calls_.insert(&context_);
  if (partition_.cut_now()) context_.TryCancel();
}

Partition::Call::~Call() {
  const std::lock_guard lock(partition_.mutex_);
  partition_.calls_.erase(&context_);
}

}  // namespace lctl::agent
