#include "server/jobs/failure.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cctype>

#include "server/jobs/job_record.h"

namespace lctl::jobs {
namespace {

constexpr int kKilled = 128 + SIGKILL;
constexpr int kBusError = 128 + SIGBUS;

constexpr Duration kCrashesSoon = std::chrono::minutes(2);

// Progress is told a few times a second, so a step is known about so well only.
bool at_same_place(std::int64_t a, std::int64_t b) {
  return std::abs(a - b) <= std::max<std::int64_t>(10, std::max(a, b) / 100);
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

}  // namespace

v1::EndCause cause_of_exit(int exit_code, const v1::Finished* said) {
  if (said != nullptr && said->outcome() == v1::Finished::OUTCOME_BAD_SPEC) {
    return v1::END_CAUSE_USER;
  }
  if (exit_code == 0) return v1::END_CAUSE_UNSPECIFIED;
  if (exit_code == kExitStopped) return v1::END_CAUSE_INFRASTRUCTURE;
  if (said != nullptr) return v1::END_CAUSE_PROGRAM;
  if (exit_code == kExitBadSpec) return v1::END_CAUSE_USER;
  return exit_code == kKilled || exit_code == kBusError ? v1::END_CAUSE_INFRASTRUCTURE
                                                        : v1::END_CAUSE_PROGRAM;
}

Failure failure_of(const v1::Attempt& attempt) {
  Failure failure{.attempt = attempt.number(),
                  .cause = attempt.cause(),
                  .words = without_numbers(attempt.reason()),
                  .step = attempt.ended_at_step(),
                  .lasted = Duration(attempt.finished_us() - attempt.started_us())};
  if (attempt.has_culprit() && attempt.culprit() >= 0 && attempt.culprit() < attempt.ranks_size()) {
    const v1::RankStatus& culprit = attempt.ranks(attempt.culprit());
    failure.exit_code = culprit.exit_code();
    failure.explained = !culprit.message().empty();
  }
  return failure;
}

std::optional<Failure> newest_failure(std::span<const v1::Attempt> attempts) {
  for (auto it = attempts.rbegin(); it != attempts.rend(); ++it) {
    if (it->finished_us() == 0) continue;
    if (it->outcome() == outcome::kFailed) return failure_of(*it);
    if (it->outcome() != outcome::kLost && it->outcome() != outcome::kPreempted &&
        it->outcome() != outcome::kRolledBack) {
      break;
    }
  }
  return std::nullopt;
}

std::string without_numbers(std::string_view text) {
  std::string words;
  for (std::size_t i = 0; i < text.size();) {
    const bool address = text.substr(i).starts_with("0x");
    if (!address && !is_digit(text[i])) {
      words += text[i++];
      continue;
    }
    words += '#';
    i += address ? 2 : 1;
    while (i < text.size() && (is_digit(text[i]) || (address && is_hex(text[i])))) ++i;
  }
  return words;
}

std::string why_not_again(const Failure& before, const Failure& now, bool without_progress) {
  if (before.exit_code != now.exit_code || before.cause != now.cause) return "";
  if (now.exit_code == kKilled && now.cause == v1::END_CAUSE_INFRASTRUCTURE) {
    if (!at_same_place(before.step, now.step)) return "";
    return fmt::format(
        "so was attempt {} at about the same place (steps {} and {}): not tried again; give it "
        "more memory (a smaller batch_size, fewer loader workers, nodes with more memory)",
        before.attempt, before.step, now.step);
  }
  const bool crash = now.cause == v1::END_CAUSE_PROGRAM && before.explained && now.explained &&
                     before.words == now.words && before.lasted <= kCrashesSoon &&
                     now.lasted <= kCrashesSoon;
  if (!crash || !without_progress) return "";
  return fmt::format(
      "so did attempt {}, and neither has left a checkpoint: a crash loop, not tried again; "
      "correct the cause",
      before.attempt);
}

}  // namespace lctl::jobs
