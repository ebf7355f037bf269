#include "worker/trainer/program/stack_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <future>
#include <mutex>
#include <sstream>
#include <thread>

#include "worker/pulse/pulse.h"

namespace lctl {

// Not static, not inlined: their names are what a dump must show.
__attribute__((noinline)) void waits_for_a_mutex(std::mutex& mutex) {
  const std::lock_guard lock(mutex);
  asm volatile("");
}
__attribute__((noinline)) void waits_for_a_promise(std::shared_future<void>& told) {
  told.wait();
  asm volatile("");
}
__attribute__((noinline)) void spins_until(const std::atomic<bool>& told) {
  while (!told.load()) asm volatile("");
}

namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

char state_of(pid_t tid) {
  std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/stat");
  std::stringstream text;
  text << file.rdbuf();
  const std::size_t at = text.str().rfind(") ");
  return at == std::string::npos ? '?' : text.str()[at + 2];
}

// Three threads that are stuck, each in its own way.
class StackDumpTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stacks::watch(); }

  StackDumpTest() : held_(mutex_), future_(promise_.get_future().share()) {
    threads_.emplace_back([this] { begin("locker"), waits_for_a_mutex(mutex_); });
    threads_.emplace_back([this] { begin("waiter"), waits_for_a_promise(future_); });
    threads_.emplace_back([this] { begin("spinner"), spins_until(spun_); });
    while (begun_ < 3) std::this_thread::yield();
    for (const auto& tid : {tids_[0].load(), tids_[1].load()}) {
      while (state_of(tid) != 'S') std::this_thread::yield();
    }
  }
  ~StackDumpTest() override {
    held_.unlock();
    promise_.set_value();
    spun_ = true;
    for (std::thread& each : threads_) each.join();
  }
  void begin(const char* name) {
    pthread_setname_np(pthread_self(), name);
    const int at = std::string(name) == "locker" ? 0 : std::string(name) == "waiter" ? 1 : 2;
    tids_[at] = gettid();
    ++begun_;
  }

  std::mutex mutex_;
  std::unique_lock<std::mutex> held_;
  std::promise<void> promise_;
  std::shared_future<void> future_;
  std::atomic<bool> spun_{false};
  std::atomic<int> begun_{0};
  std::array<std::atomic<pid_t>, 3> tids_{};
  std::vector<std::thread> threads_;
};

void expect_all_stacks(const std::string& text) {
  EXPECT_THAT(text, HasSubstr("lctl-trainer: the stacks of "));
  EXPECT_THAT(text, ContainsRegex("thread locker \\([0-9]+\\)\n"));
  EXPECT_THAT(text, HasSubstr("lctl::waits_for_a_mutex(std::mutex&) at "));
  EXPECT_THAT(text, HasSubstr("lctl::waits_for_a_promise(std::shared_future<void>&) at "));
  // The line may be one of a header, where something was inlined.
  EXPECT_THAT(text, ContainsRegex("lctl::spins_until\\(std::atomic<bool> const&\\) at "
                                  "[a-z_]+\\.(cc|h):[0-9]+\n"));
  EXPECT_THAT(text, HasSubstr(" pthread_mutex_lock in libc.so.6\n"));
}

TEST_F(StackDumpTest, ShowsWhatEachThreadIsStuckIn) {
  // From a thread of its own, so that the main thread is among those shown, and last.
  const std::string text = std::async(std::launch::async, [] { return stacks::collect(); }).get();
  expect_all_stacks(text);
  const std::size_t main = text.find(", main)\n");
  ASSERT_NE(main, std::string::npos);
  EXPECT_EQ(text.find("thread ", main), std::string::npos) << "the main thread comes last";
}

TEST_F(StackDumpTest, SignalFromOutsideWritesThemToStderrAndTellsThePulse) {
  const std::string path = testing::TempDir() + "/stack_dump_stderr";
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  const int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  const pulse::Page& page = *pulse::detail::page;
  EXPECT_EQ(page.takes_dumps, 1u);
  const std::uint64_t dumps = page.dumps;
  kill(getpid(), pulse::dump_signal());
  while (pulse::detail::at(pulse::detail::page->dumps).load() == dumps) std::this_thread::yield();
  dup2(before, STDERR_FILENO);
  close(before);
  std::fclose(file);
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  expect_all_stacks(text.str());
}

TEST_F(StackDumpTest, ThreadThatTakesNoSignalsIsNamed) {
  std::atomic<bool> blocked{false};
  std::promise<void> told;
  std::thread deaf([&] {
    pthread_setname_np(pthread_self(), "deaf");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    blocked = true;
    told.get_future().wait();
  });
  while (!blocked) std::this_thread::yield();
  EXPECT_THAT(stacks::collect(), ContainsRegex("thread deaf \\([0-9]+\\) did not answer\n"));
  told.set_value();
  deaf.join();
}

}  // namespace
}  // namespace lctl
