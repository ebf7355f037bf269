// Reports and file names, held against text that real Lightning wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/profilers/advanced_profiler.h"
#include "worker/trainer/profilers/known_profilers.h"
#include "worker/trainer/profilers/simple_profiler.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::int64_t kMilli = 1'000'000;  // nanoseconds

// A clock that stands still until it is told.
struct FakeProfilingClock {
  std::int64_t now = 0;
  ProfilingClock clock() {
    return [this] { return now; };
  }
};

std::string text_of(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

fs::path fresh_folder(const std::string& name) {
  const char* root = std::getenv("TEST_TMPDIR");
  fs::path folder = fs::path(root == nullptr ? "/tmp" : root) / name;
  fs::remove_all(folder);
  return folder;
}

ProfiledRun run_of(const std::string& stage) {
  ProfiledRun run;
  run.stage = stage;
  return run;
}

// What Lightning 2.6.6 makes of: outer 0.5 s around two inner of 0.125 s each, one second after its
// birth.
constexpr char kExtended[] =
    "FIT Profiler Report\n"
    "\n"
    "------------------------------------------------------------------------------------"
    "------------------------------\n"
    "|  Action      \t|  Mean duration (s)\t|  Num calls      \t|  Total time (s) \t|  Pe"
    "rcentage %   \t|\n"
    "------------------------------------------------------------------------------------"
    "------------------------------\n"
    "|  Total       \t|  -              \t|  3              \t|  1.0            \t|  100 "
    "%          \t|\n"
    "------------------------------------------------------------------------------------"
    "------------------------------\n"
    "|  outer       \t|  0.5            \t|  1              \t|  0.5            \t|  50.0"
    "           \t|\n"
    "|  [Strategy]n\xC3\xB6\t|  0.125          \t|  2              \t|  0.25           \t"
    "|  25.0           \t|\n"
    "------------------------------------------------------------------------------------"
    "------------------------------\n";

constexpr char kShort[] =
    "FIT Profiler Report\n"
    "\n"
    "------------------------------------------------------------------\n"
    "|  Action      \t|  Mean duration (s)\t|  Total time (s) \t|\n"
    "------------------------------------------------------------------\n"
    "|  outer       \t|  0.5            \t|  0.5            \t|\n"
    "|  [Strategy]n\xC3\xB6\t|  0.125          \t|  0.25           \t|\n"
    "------------------------------------------------------------------\n";

void outer_with_two_inner(Profiler& profiler, FakeProfilingClock& time) {
  const ActionScope outer(&profiler, "outer");
  for (int i = 0; i < 2; ++i) {
    time.now += 125 * kMilli;
    const ActionScope inner(&profiler, "[Strategy]n\xC3\xB6");
    time.now += 125 * kMilli;
  }
}

TEST(SimpleProfilerTest, ReportIsLightningsCharacterForCharacter) {
  FakeProfilingClock time;
  SimpleProfiler profiler({.now = time.clock()});
  profiler.setup(run_of("fit"));
  outer_with_two_inner(profiler, time);
  time.now = 1000 * kMilli;

  EXPECT_EQ(profiler.summary(), kExtended);
}

TEST(SimpleProfilerTest, ShortReportHasNeitherCallsNorShares) {
  FakeProfilingClock time;
  SimpleProfiler profiler({.extended = false, .now = time.clock()});
  outer_with_two_inner(profiler, time);
  profiler.setup(run_of("fit"));
  EXPECT_EQ(profiler.summary(), kShort);
}

TEST(SimpleProfilerTest, AnActionStartsOnceAndEndsOnce) {
  SimpleProfiler profiler;
  const Action& action = profiler.action("a");
  EXPECT_EQ(&profiler.action("a"), &action);
  profiler.start(action);
  EXPECT_THROW(profiler.start(action), std::invalid_argument);
  profiler.stop(action);
  EXPECT_THROW(profiler.stop(action), std::invalid_argument);
  EXPECT_THROW(profiler.stop(profiler.action("b")), std::invalid_argument);
}

TEST(ProfilerTest, ReportsAreAppendedToFilesNamedAfterStageAndRank) {
  const fs::path folder = fresh_folder("reports");
  SimpleProfiler profiler({.filename = "per/f::x"});
  ProfiledRun run = run_of("fit");
  run.log_dir = folder.string();
  run.local_rank = 1;
  profiler.setup(run);
  {
    const ActionScope scope(&profiler, "a");
  }
  profiler.describe();
  profiler.describe();
  const std::string text = text_of(folder / "fit-per_f_x-1.txt");
  EXPECT_THAT(text, testing::StartsWith("FIT Profiler Report\n"));
  EXPECT_NE(text.find("FIT Profiler Report", 1), std::string::npos) << "the second is appended";
}

TEST(ProfilerTest, AReportThatCannotBeWrittenNamesItsPath) {
  SimpleProfiler profiler({.dirpath = "/proc/none", .filename = "perf"});
  profiler.setup(run_of("test"));
  try {
    profiler.describe();
    FAIL() << "wrote into /proc";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/proc/none/test-perf.txt"));
  }
}

TEST(AdvancedProfilerTest, TablesHaveWhatRanInsideEachAction) {
  FakeProfilingClock time;
  AdvancedProfiler profiler({.now = time.clock()});
  profiler.setup(run_of("fit"));
  outer_with_two_inner(profiler, time);
  EXPECT_EQ(profiler.summary(),
            "FIT Profiler Report\n"
            "Profile stats for: outer\n"
            "         3 function calls in 0.500 seconds\n"
            "\n"
            "   Ordered by: cumulative time\n"
            "\n"
            "   ncalls  tottime  percall  cumtime  percall filename:lineno(function)\n"
            "        1    0.250    0.250    0.500    0.500 outer\n"
            "        2    0.250    0.125    0.250    0.125 [Strategy]n\xC3\xB6\n"
            "\n"
            "\n"
            "\n"
            "Profile stats for: [Strategy]n\xC3\xB6\n"
            "         2 function calls in 0.250 seconds\n"
            "\n"
            "   Ordered by: cumulative time\n"
            "\n"
            "   ncalls  tottime  percall  cumtime  percall filename:lineno(function)\n"
            "        2    0.250    0.125    0.250    0.125 [Strategy]n\xC3\xB6\n"
            "\n"
            "\n");
  profiler.teardown();
  EXPECT_EQ(profiler.summary(), "FIT Profiler Report");
}

TEST(AdvancedProfilerTest, RowsAreLimitedByCountOrShare) {
  FakeProfilingClock time;
  AdvancedProfiler by_count({.line_count_restriction = std::int64_t{1}, .now = time.clock()});
  outer_with_two_inner(by_count, time);
  EXPECT_THAT(by_count.summary(),
              HasSubstr("   List reduced from 2 to 1 due to restriction <1>\n"));
  AdvancedProfiler by_share({.line_count_restriction = 0.5, .now = time.clock()});
  outer_with_two_inner(by_share, time);
  EXPECT_THAT(by_share.summary(),
              HasSubstr("   List reduced from 2 to 1 due to restriction <0.5>\n"));
}

// Bytes that Python's marshal.loads() reads as
// {("~", 0, "a"): (1, 1, 0.5, 0.5, {})}.
TEST(AdvancedProfilerTest, DumpedStatisticsAreInPythonsFormat) {
  const fs::path folder = fresh_folder("dumps");
  FakeProfilingClock time;
  AdvancedProfiler profiler({.dirpath = folder.string(), .dump_stats = true, .now = time.clock()});
  profiler.setup(run_of("fit"));
  {
    const ActionScope scope(&profiler, "a");
    time.now += 500 * kMilli;
  }
  profiler.describe();
  using namespace std::string_literals;
  const std::string half = "g\0\0\0\0\0\0\xE0\x3F"s;
  EXPECT_EQ(text_of(folder / "fit-a.prof"), "{(\3\0\0\0u\1\0\0\0~i\0\0\0\0u\1\0\0\0a(\5\0\0\0"s +
                                                "i\1\0\0\0i\1\0\0\0"s + half + half + "{00"s);
}

TEST(KnownProfilersTest, NamesAreLightningsAndAnyOtherIsRefusedInItsWords) {
  EXPECT_NE(make_profiler("Simple"), nullptr);
  EXPECT_NE(make_profiler("advanced"), nullptr);
  EXPECT_NE(make_profiler("PYTORCH"), nullptr);
  try {
    make_profiler("fast");
    FAIL() << "made a profiler called fast";
  } catch (const MisconfigurationException& error) {
    EXPECT_STREQ(error.what(),
                 "When passing string value for the `profiler` parameter of `Trainer`, it can only "
                 "be one of ['simple', 'advanced', 'pytorch', 'xla']");
  }
}

// Fails at the end of an action.
class BrokenProfiler final : public Profiler {
 public:
  void start(const Action&) override {}
  void stop(const Action& action) override {
    throw std::runtime_error("cannot stop " + action.name);
  }
};

TEST(ActionScopeTest, ErrorsOfTheProfilerDoNotHideThoseOfTheAction) {
  BrokenProfiler profiler;
  EXPECT_THROW({ const ActionScope scope(&profiler, "a"); }, std::runtime_error);
  EXPECT_THROW(
      {
        const ActionScope scope(&profiler, "a");
        throw std::logic_error("of the action");
      },
      std::logic_error);
}

}  // namespace
}  // namespace lctl
