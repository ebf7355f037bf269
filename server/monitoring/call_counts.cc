#include "server/monitoring/call_counts.h"

#include <array>
#include <string_view>
#include <utility>

namespace lctl::monitoring {
namespace {

// Source: gRPC's list of status codes, in the order of their numbers.
constexpr std::array<std::string_view, 17> kCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string_view name_of(grpc::StatusCode code) {
  const auto number = static_cast<std::size_t>(code);
  return number < kCodes.size() ? kCodes[number] : "UNKNOWN";
}

}  // namespace

// One call. gRPC deletes it when the call is over.
class CallCounts::Call final : public grpc::experimental::Interceptor {
 public:
  Call(CallCounts& counts, std::string method) : counts_(counts), method_(std::move(method)) {
    counts_.began(method_);
  }
  // A call that was broken off sends no status.
  ~Call() override { counts_.ended(method_, status_); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      status_ = methods->GetSendStatus();
    }
    methods->Proceed();
  }

 private:
  CallCounts& counts_;
  const std::string method_;
  grpc::Status status_{grpc::StatusCode::CANCELLED, ""};
};

class CallCounts::Watcher final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Watcher(CallCounts& counts) : counts_(counts) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    std::string_view method = info->method() == nullptr ? "" : info->method();
    if (method.starts_with('/')) method.remove_prefix(1);
    return new Call(counts_, std::string(method));
  }

 private:
  CallCounts& counts_;
};

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallCounts::watcher() {
  return std::make_unique<Watcher>(*this);
}

void CallCounts::began(const std::string& method) {
  const std::lock_guard lock(mutex_);
  ++view_.open[method];
}

void CallCounts::ended(const std::string& method, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  --view_.open[method];
  ++view_.finished[{method, std::string(name_of(status.error_code()))}];
}

CallView CallCounts::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

}  // namespace lctl::monitoring
