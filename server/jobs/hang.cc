#include "server/jobs/hang.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <vector>

namespace lctl::jobs {
namespace {

using Told = std::map<int, RankStall>;

constexpr std::size_t kRanksNamed = 8;

// "rank 3", "ranks 0, 2 and 3".
std::string ranks_in_words(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  const std::size_t named = std::min(ranks.size(), kRanksNamed);
  for (std::size_t i = 0; i < named; ++i) {
    const bool last = i + 1 == ranks.size();
    text += fmt::format("{}{}", i == 0 ? "" : last ? " and " : ", ", ranks[i]);
  }
  if (ranks.size() > named) text += fmt::format(" and {} more", ranks.size() - named);
  return text;
}

bool keeps_pulse(const RankStall& stall) { return !stall.phase.empty(); }

// "all_reduce #812"; of those it was told of, else "collective #812".
std::string name_of_collective(const Told& told, std::int64_t number) {
  for (const auto& [rank, stall] : told) {
    const std::int64_t back = stall.begun - number;
    const auto known = static_cast<std::int64_t>(stall.recent.size());
    if (back < 0 || back >= known) continue;
    return fmt::format("{} #{}", stall.recent[static_cast<std::size_t>(known - 1 - back)], number);
  }
  return fmt::format("collective #{}", number);
}

int only_one(const Told& told, const auto& predicate) {
  int found = -1;
  for (const auto& [rank, stall] : told) {
    if (!predicate(stall)) continue;
    if (found >= 0) return -1;
    found = rank;
  }
  return found;
}

int culprit_of(const Told& told, int ranks) {
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  std::int64_t most = 0;
  for (const auto& [rank, stall] : told) {
    if (!keeps_pulse(stall)) continue;
    fewest = std::min(fewest, stall.begun);
    most = std::max(most, stall.begun);
  }
  const bool one_is_behind = fewest < most;
  const auto is_behind = [&](const auto& each) {
    return !one_is_behind || !keeps_pulse(each.second) || each.second.begun == fewest;
  };
  const auto odd = std::find_if(told.begin(), told.end(), [&](const auto& each) {
    return is_behind(each) && !each.second.process.empty();
  });
  if (odd != told.end()) return odd->first;
  if (one_is_behind) {
    return std::find_if(told.begin(), told.end(),
                        [&](const auto& each) {
                          return keeps_pulse(each.second) && each.second.begun == fewest;
                        })
        ->first;
  }
  if (ranks == 1) return told.begin()->first;
  return only_one(told, [](const RankStall& stall) { return stall.stalled; });
}

// "no sign of life for 47 s at step 1200 (training, waiting for its next batch)".
std::string how_it_stands(const RankStall& stall) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(stall.silence).count();
  std::string text =
      fmt::format("no sign of life for {} s at step {} ({}", seconds, stall.step, stall.phase);
  const bool batches = stall.phase == "training" || stall.phase == "validating" ||
                       stall.phase == "testing" || stall.phase == "predicting";
  if (batches) text += stall.in_batch ? ", in a batch" : ", waiting for its next batch";
  return text + ")";
}

// Who waits where for the culprit; "" = nobody that told.
std::string waiting_for(const Told& told, int culprit) {
  const std::int64_t missing = told.at(culprit).begun + 1;
  std::vector<int> waiting;
  for (const auto& [rank, stall] : told) {
    if (rank != culprit && keeps_pulse(stall) && stall.begun >= missing) waiting.push_back(rank);
  }
  if (waiting.empty()) return "";
  return fmt::format("; {} {} in {}, which it has not reached", ranks_in_words(waiting),
                     waiting.size() == 1 ? "waits" : "wait", name_of_collective(told, missing));
}

// All are as far: then at least where that is.
std::string where_all_wait(const Told& told) {
  std::vector<int> waiting;
  std::int64_t number = 0;
  for (const auto& [rank, stall] : told) {
    if (!keeps_pulse(stall) || stall.begun <= stall.passed) continue;
    waiting.push_back(rank);
    number = stall.begun;
  }
  if (waiting.empty()) return "";
  return fmt::format("; {} {} in {}", ranks_in_words(waiting),
                     waiting.size() == 1 ? "waits" : "wait", name_of_collective(told, number));
}

}  // namespace

HangFinding find_hang(const Told& told, const v1::Attempt& attempt, const std::string& job) {
  HangFinding finding{.culprit = culprit_of(told, attempt.ranks_size()), .reason = {}};
  // Somebody has stalled, or nobody would ask.
  const auto stalled =
      std::find_if(told.begin(), told.end(), [](const auto& each) { return each.second.stalled; });
  const int shown = finding.culprit >= 0    ? finding.culprit
                    : stalled != told.end() ? stalled->first
                                            : told.begin()->first;
  const RankStall& stall = told.at(shown);
  std::string& text = finding.reason;
  text = fmt::format("rank {} (node {}) hangs", shown, attempt.ranks(shown).node_name());
  if (keeps_pulse(stall)) text += ": " + how_it_stands(stall);
  if (finding.culprit >= 0) {
    if (keeps_pulse(stall)) text += waiting_for(told, shown);
    if (!stall.process.empty()) text += fmt::format("; its process is {}", stall.process);
  } else {
    text += where_all_wait(told);
    text += "; which rank is at fault cannot be told";
  }
  text += attempt.ranks_size() == 1
              ? fmt::format("; its stacks are in `lctl logs {}`", job)
              : fmt::format("; the stacks of all ranks are in `lctl logs {}`", job);
  return finding;
}

}  // namespace lctl::jobs
