#include "worker/agent/lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/log.h"

namespace lctl::agent {
namespace {

// The host is asked when so much of the lease has passed in silence: often enough to find a
// refusal, seldom enough to leave a healthy session alone.
constexpr int kSilentPart = 4;
constexpr int kLooksPerLease = 16;
constexpr Duration kShortestPause = std::chrono::milliseconds(20);
constexpr Duration kLongestPause = std::chrono::seconds(2);

std::int64_t millis(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

// Of one width, so that a file is overwritten in place and needs no further space on a full disk.
std::string to_text(const LeaseTerms& terms) {
  return fmt::format("{:020} {:010}\n", terms.deadline.count(), millis(terms.length));
}

LeaseTerms parse_lease(const std::string& text) {
  long long deadline_ns = 0;
  long long length_ms = 0;
  if (std::sscanf(text.c_str(), "%lld %lld", &deadline_ns, &length_ms) != 2 || deadline_ns <= 0 ||
      length_ms <= 0 || length_ms > std::chrono::milliseconds(std::chrono::hours(24)).count()) {
    return {};
  }
  return {BootTime(deadline_ns), std::chrono::milliseconds(length_ms)};
}

absl::StatusOr<std::unique_ptr<Lease>> Lease::open(Options options) {
  Descriptor file(::open(options.file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!file.valid()) return errno_status(errno, fmt::format("opening {}", options.file.string()));
  char text[64] = "";
  const ssize_t size = pread(file.get(), text, sizeof(text) - 1, 0);
  std::unique_ptr<Lease> lease(new Lease(std::move(options), std::move(file)));
  const LeaseTerms left =
      parse_lease(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(0, size))));
  // Of an earlier boot: its ranks are gone with it.
  if (left.deadline <= lease->options_.now() + left.length) lease->terms_ = left;
  // Only a file that is there in full can be looked at by keepers.
  if (lease->terms_.deadline == BootTime::zero()) {
    const std::lock_guard lock(lease->mutex_);
    lease->write_locked({});
    if (lease->failed_)
      return absl::UnavailableError(
          fmt::format("{} cannot be written", lease->options_.file.string()));
  }
  return lease;
}

Lease::~Lease() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Lease::start() {
  thread_ = std::thread([this] { run(); });
}

void Lease::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Duration pause =
        terms_.length == Duration::zero()
            ? kLongestPause
            : std::clamp(terms_.length / kLooksPerLease, kShortestPause, kLongestPause);
    changed_.wait_for(lock, pause, [this] { return stopping_; });
    lock.unlock();
    look();
    lock.lock();
  }
}

void Lease::renew(BootTime sent, Duration length) {
  const std::lock_guard lock(mutex_);
  if (length <= Duration::zero()) {
    if (terms_.deadline != BootTime::zero()) write_locked({});
    return;
  }
  const LeaseTerms terms{sent + length, length};
  // News that was late is no reason to end earlier.
  if (terms.length == terms_.length && terms.deadline <= terms_.deadline && !failed_) return;
  write_locked(terms);
}

void Lease::look() {
  const BootTime now = options_.now();
  Duration length{};
  {
    const std::lock_guard lock(mutex_);
    length = terms_.length;
    if (stopping_ || length == Duration::zero()) return;
    if (now < terms_.deadline - length + length / kSilentPart) return;
  }
  if (options_.refused()) renew(now, length);
}

void Lease::write_locked(const LeaseTerms& terms) {
  terms_ = terms;
  const std::string text = to_text(terms);
  const bool written =
      pwrite(file_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  if (!written && !failed_) {
    logger("lease").error("{} cannot be written ({}): ranks will end when their lease has run out",
                          options_.file.string(), message_of(errno_status(errno, "writing")));
  }
  failed_ = !written;
}

}  // namespace lctl::agent
