// The calls that go on for long: watch and logs. Both survive a server that goes away: they open
// the stream anew and leave out what has been delivered.
#include <grpcpp/support/sync_stream.h>

#include <map>
#include <tuple>
#include <utility>

#include "base/status.h"
#include "client/library/connection.h"

namespace lctl::client {
namespace {

absl::Status stopped() { return absl::CancelledError("interrupted"); }

// Tells the observer once when the stream breaks, and once when it is back.
class Notice {
 public:
  explicit Notice(const WatchObserver& observer) : observer_(observer) {}

  void lost(std::string_view why) {
    if (!lost_ && observer_.lost) observer_.lost(why);
    lost_ = true;
  }
  void back() {
    if (lost_ && observer_.reconnected) observer_.reconnected();
    lost_ = false;
  }

 private:
  const WatchObserver& observer_;
  bool lost_ = false;
};

// Which bytes of each stream have been delivered.
class DeliveredBytes {
 public:
  // Cuts off what has been delivered; false when nothing is left.
  bool take_new(v1::LogChunk& chunk) {
    const auto& stream = chunk.stream();
    std::uint64_t& next = next_[{stream.attempt(), stream.rank(), stream.kind()}];
    const std::uint64_t end = chunk.offset() + chunk.text().size();
    if (end <= next) return false;
    if (chunk.offset() < next) {
      chunk.mutable_text()->erase(0, next - chunk.offset());
      chunk.set_offset(next);
    }
    next = end;
    return true;
  }

 private:
  std::map<std::tuple<int, int, int>, std::uint64_t> next_;
};

}  // namespace

absl::StatusOr<v1::Job> Client::watch(const std::string& job, const WatchObserver& observer,
                                      std::stop_token stop) {
  Connection& connection = *connection_;
  Backoff backoff(*connection.channel, connection.options.backoff_first,
                  connection.options.backoff_limit);
  Notice notice(observer);
  const MonotonicTime started = system_clock().monotonic_now();
  v1::WatchJobRequest request;
  request.set_job(job);
  bool ever = false;
  for (;;) {
    grpc::ClientContext context;
    Connection::set_deadline(context, connection.options.stream_renewal);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    const auto reader = connection.jobs->Watch(&context, request);
    v1::Job now;
    bool delivered = false;
    while (reader->Read(&now)) {
      connection.reached = ever = delivered = true;
      // From now on by id: "@last" and a name may come to mean another job.
      request.set_job(now.id());
      backoff.reset();
      notice.back();
      if (observer.changed) observer.changed(now);
      if (is_final(now.state())) {
        context.TryCancel();
        static_cast<void>(reader->Finish());
        return now;
      }
    }
    const grpc::Status status = reader->Finish();
    if (stop.stop_requested()) return stopped();
    const bool quiet = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if (delivered && quiet) continue;  // only its renewal
    if (!status.ok() && !quiet && !connection_broke(status)) {
      return from_grpc(status, connection.address);
    }
    if (!ever && connection.out_of_patience(started)) {
      return status.ok() ? absl::UnavailableError(unreachable_text(
                               connection.address, "it ended the stream without an answer"))
                         : from_grpc(status, connection.address);
    }
    if (ever) notice.lost(loss_text(status));
    if (!backoff.wait(stop)) return stopped();
  }
}

absl::Status Client::logs(const LogQuery& query, const LogSink& sink, std::stop_token stop) {
  // By id from the start, for the same reason as in watch().
  LCTL_ASSIGN_OR_RETURN(const v1::JobDetails details, get(query.job));
  Connection& connection = *connection_;
  Backoff backoff(*connection.channel, connection.options.backoff_first,
                  connection.options.backoff_limit);
  DeliveredBytes delivered;
  MonotonicTime last_heard = system_clock().monotonic_now();
  v1::GetLogsRequest request;
  request.set_job(details.job().id());
  request.set_attempt(query.attempt);
  request.set_rank(query.rank);
  request.set_follow(query.follow);
  request.set_tail_bytes(query.tail_bytes);
  for (;;) {
    grpc::ClientContext context;
    // Long logs take long; a followed stream is renewed less often than a watch, since the server
    // sends the tail again.
    Connection::set_deadline(context, connection.options.stream_renewal * 10);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    const auto reader = connection.experiments->GetLogs(&context, request);
    v1::LogChunk chunk;
    while (reader->Read(&chunk)) {
      last_heard = system_clock().monotonic_now();
      backoff.reset();
      // After a break nothing may be missing between what came and the new tail: ask for all, the
      // delivered part is cut off here.
      request.set_tail_bytes(0);
      if (!delivered.take_new(chunk)) continue;
      if (!sink(chunk)) {
        context.TryCancel();
        static_cast<void>(reader->Finish());
        return absl::OkStatus();
      }
    }
    const grpc::Status status = reader->Finish();
    if (stop.stop_requested()) return stopped();
    if (status.ok()) return absl::OkStatus();
    const bool quiet = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if ((!quiet && !connection_broke(status)) ||
        (!query.follow && connection.out_of_patience(last_heard))) {
      return from_grpc(status, connection.address);
    }
    if (!backoff.wait(stop)) return stopped();
  }
}

}  // namespace lctl::client
