// Thousands of random schedules of faults: what must hold in every one (invariants.h). A failure
// names its seed, which replays it.
//
//   LCTL_SIMULATION_SCHEDULES=10000   how many; 2,000 unless it says so
//   LCTL_TEST_SEED=7                  the seed of the first one; the others' follow
//   LCTL_SIMULATION_LINES=100000      how many of its last lines a failure shows; 80
#include "tests/simulation/simulation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "storage/testing/temp_folder.h"

namespace lctl::simulation {
namespace {

constexpr int kParts = 8;  // to be run side by side (shard_count)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSchedules = 200;  // each takes ten times as long
#else
constexpr std::uint64_t kSchedules = 2'000;
#endif
constexpr std::uint64_t kLinesShown = 80;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::stoull(text);
}

std::uint64_t first_seed() {
  static const std::uint64_t seed = from_environment("LCTL_TEST_SEED", std::random_device{}());
  return seed;
}

// Runs schedules on copies of one migrated store.
class Stage {
 public:
  Stage() {
    set_log_level("off");
    EventQueue clock;
    const auto store = storage::Store::open({.dir = empty_.path(), .clock = clock});
    LCTL_CHECK(store.ok(), "an empty store opens");
  }

  Outcome run(std::uint64_t seed, Bug bug = Bug::kNone, bool keep_trace = false) const {
    const storage::TempFolder folder;
    std::filesystem::copy_file(empty_.path() / "lctl.db", folder.path() / "lctl.db");
    return run_schedule(seed, folder.path(), bug, keep_trace);
  }

 private:
  storage::TempFolder empty_;
};

std::string describe(const Outcome& outcome, std::uint64_t seed) {
  const std::uint64_t shown = from_environment("LCTL_SIMULATION_LINES", kLinesShown);
  const std::size_t from = outcome.trace.size() - std::min(shown, outcome.trace.size());
  return fmt::format(
      "{}\nreplay it with LCTL_TEST_SEED={} LCTL_SIMULATION_SCHEDULES=1; its last lines:\n{}",
      fmt::join(outcome.violations, "\n"), seed,
      fmt::join(outcome.trace.begin() + static_cast<std::ptrdiff_t>(from), outcome.trace.end(),
                "\n"));
}

class SimulationTest : public testing::TestWithParam<int> {
 protected:
  Stage stage_;
};

TEST_P(SimulationTest, EveryScheduleKeepsWhatIsPromised) {
  const std::uint64_t all = from_environment("LCTL_SIMULATION_SCHEDULES", kSchedules);
  const std::uint64_t part = static_cast<std::uint64_t>(GetParam());
  const std::uint64_t begin = first_seed() + all * part / kParts;
  const std::uint64_t end = first_seed() + all * (part + 1) / kParts;
  std::size_t jobs = 0;
  int attempts = 0, faults = 0, crashes = 0, made_room = 0;
  Duration simulated{};
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    const Outcome outcome = stage_.run(seed);
    if (!outcome.violations.empty()) {
      FAIL() << describe(stage_.run(seed, Bug::kNone, true), seed);
    }
    jobs += outcome.jobs;
    attempts += outcome.attempts;
    faults += outcome.faults;
    crashes += outcome.server_crashes;
    made_room += outcome.preempted;
    simulated += outcome.simulated;
  }
  std::cout << fmt::format(
                   "seeds {} to {}: {} schedules, {} jobs, {} attempts, {} faults, {} crashes of "
                   "the server, in {} a gang made room; {} s of simulated time\n",
                   begin, end, end - begin, jobs, attempts, faults, crashes, made_room,
                   simulated.count() / 1'000'000)
            << std::flush;
  if (end - begin < 100) return;
  // Else the schedules would show little.
  EXPECT_GT(attempts, static_cast<int>(jobs));
  EXPECT_GT(faults, static_cast<int>(end - begin));
  EXPECT_GT(crashes, 0);
  EXPECT_GT(made_room, 0);
}

INSTANTIATE_TEST_SUITE_P(Part, SimulationTest, testing::Range(0, kParts));

TEST(ReplayTest, TheSameSeedDoesTheSameAgain) {
  const Stage stage;
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 20; ++seed) {
    const Outcome once = stage.run(seed);
    hashes.insert(once.trace_hash);
    const Outcome again = stage.run(seed, Bug::kNone, true);
    EXPECT_EQ(once.trace_hash, again.trace_hash) << "LCTL_TEST_SEED=" << seed;
    EXPECT_EQ(once.simulated, again.simulated) << "LCTL_TEST_SEED=" << seed;
  }
  EXPECT_EQ(hashes.size(), 20U);
}

struct Planted {
  Bug bug;
  const char* name;
};
void PrintTo(const Planted& planted, std::ostream* out) { *out << planted.name; }

class PlantedBugTest : public testing::TestWithParam<Planted> {};

// Each is found by one of a hundred schedules or more; the limit is where bad luck is no
// explanation (1 in e^30).
TEST_P(PlantedBugTest, IsFoundAndItsSeedShowsItAgain) {
  constexpr std::uint64_t kTries = 3'000;
  const Stage stage;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + kTries; ++seed) {
    const Outcome outcome = stage.run(seed, GetParam().bug);
    if (outcome.violations.empty()) continue;
    std::cout << fmt::format("{}: found by schedule {} (LCTL_TEST_SEED={}): {}\n", GetParam().name,
                             seed - first_seed() + 1, seed, outcome.violations.front())
              << std::flush;
    const Outcome again = stage.run(seed, GetParam().bug);
    EXPECT_EQ(again.violations, outcome.violations);
    EXPECT_EQ(again.trace_hash, outcome.trace_hash);
    EXPECT_TRUE(stage.run(seed).violations.empty());
    return;
  }
  FAIL() << kTries << " schedules from LCTL_TEST_SEED=" << first_seed() << " found nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, PlantedBugTest,
    testing::Values(Planted{Bug::kAcknowledgesBeforeCommit, "AcknowledgesBeforeCommit"},
                    Planted{Bug::kActsBeforeCommit, "ActsBeforeCommit"},
                    Planted{Bug::kDoesNotFence, "DoesNotFence"},
                    Planted{Bug::kForgetsWhenSent, "ForgetsWhenSent"},
                    Planted{Bug::kStartsRepeatedLaunches, "StartsRepeatedLaunches"}),
    [](const auto& planted) { return std::string(planted.param.name); });

}  // namespace
}  // namespace lctl::simulation
