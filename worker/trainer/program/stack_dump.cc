#include "worker/trainer/program/stack_dump.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <torch/csrc/profiler/unwind/unwind.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "worker/pulse/pulse.h"

namespace lctl::stacks {
namespace {

constexpr std::size_t kMaxThreads = 512;  // looked at
constexpr int kMaxFrames = 64;            // of a thread
constexpr std::size_t kMaxStacks = 64;    // that differ
constexpr std::size_t kMaxNameBytes = 160;
constexpr std::chrono::seconds kPatience{1};  // with all threads
// The handler's own and the kernel's way into it.
constexpr int kOwnFrames = 2;

// What a thread's handler fills in; there from the start, since a handler must not allocate.
struct Slot {
  std::atomic<int> frames{0};  // 0 = not yet
  std::array<void*, kMaxFrames> addresses;
};
std::array<Slot, kMaxThreads> slots;
sem_t asked;     // somebody wants the stacks
sem_t captured;  // a slot was filled in
std::atomic<pid_t> watcher{0};

// One signal, two meanings: this process's own request to one thread, or a request from outside.
extern "C" void on_dump_signal(int, siginfo_t* info, void*) {
  const int saved = errno;
  const auto at = static_cast<std::size_t>(info->si_value.sival_int);
  if (info->si_code == SI_QUEUE && info->si_pid == getpid() && at < slots.size()) {
    Slot& slot = slots[at];
    slot.frames.store(backtrace(slot.addresses.data(), kMaxFrames), std::memory_order_release);
    sem_post(&captured);
  } else {
    sem_post(&asked);
  }
  errno = saved;
}

pid_t own_tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

std::vector<pid_t> threads() {
  std::vector<pid_t> all;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    const std::string name = entry.path().filename().string();
    pid_t tid = 0;
    std::from_chars(name.data(), name.data() + name.size(), tid);
    if (tid > 0) all.push_back(tid);
  }
  return all;
}

std::string name_of_thread(pid_t tid) {
  std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name.empty() ? "?" : name;
}

bool wait_for_capture(MonotonicTime until) {
  const auto micros = until.time_since_epoch().count();
  const timespec time{micros / 1'000'000, micros % 1'000'000 * 1000};
  while (sem_clockwait(&captured, CLOCK_MONOTONIC, &time) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

// Asks the thread to fill in its slot.
bool interrupt(pid_t tid, std::size_t at) {
  slots[at].frames.store(0, std::memory_order_relaxed);
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = static_cast<int>(at);
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, pulse::dump_signal(), &info) == 0;
}

// What the slot's thread was doing; empty when it has not answered.
std::vector<void*> stack_in(const Slot& slot) {
  const int frames = slot.frames.load(std::memory_order_acquire);
  const int skipped = std::min(kOwnFrames, frames);
  std::vector<void*> stack(slot.addresses.begin() + skipped, slot.addresses.begin() + frames);
  // A return address may lie behind the last line of its call.
  for (std::size_t i = 1; i < stack.size(); ++i) stack[i] = static_cast<char*>(stack[i]) - 1;
  return stack;
}

using Stacks = std::map<std::vector<void*>, std::vector<pid_t>>;

// Of these threads, by stack; an empty stack: those that have not answered.
Stacks capture(const std::vector<pid_t>& tids) {
  while (sem_trywait(&captured) == 0) {
  }
  std::size_t asked_of = 0;
  for (std::size_t i = 0; i < tids.size(); ++i) asked_of += interrupt(tids[i], i) ? 1 : 0;
  const MonotonicTime until = system_clock().monotonic_now() + Duration(kPatience);
  for (std::size_t answers = 0; answers < asked_of && wait_for_capture(until);) ++answers;
  Stacks stacks;
  for (std::size_t i = 0; i < tids.size(); ++i) stacks[stack_in(slots[i])].push_back(tids[i]);
  return stacks;
}

using Names = std::unordered_map<void*, std::string>;

std::string base_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

// "lctl::FitLoop::run() at fit_loop.cc:63", "pthread_cond_wait in libc.so.6".
std::string describe(void* address, const torch::unwind::Frame& frame) {
  std::string function = frame.funcname;
  Dl_info found{};
  const bool known = dladdr(address, &found) != 0;
  if (function == "??" && known && found.dli_sname != nullptr) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> plain(
        abi::__cxa_demangle(found.dli_sname, nullptr, nullptr, &status), std::free);
    function = status == 0 && plain != nullptr ? plain.get() : found.dli_sname;
  }
  if (function.size() > kMaxNameBytes) function = function.substr(0, kMaxNameBytes) + "…";
  const std::string file = base_name(frame.filename);
  // Without line numbers the file is the program or library, and the number an offset in it.
  const bool lines = !known || found.dli_fname == nullptr || base_name(found.dli_fname) != file;
  return lines ? fmt::format("{} at {}:{}", function, file, frame.lineno)
               : fmt::format("{} in {}", function, file);
}

Names names_of(const std::vector<void*>& addresses) {
  std::vector<torch::unwind::Frame> frames;
  try {
    frames = torch::unwind::symbolize(addresses, torch::unwind::Mode::fast);
  } catch (const std::exception&) {
    frames = torch::unwind::symbolize(addresses, torch::unwind::Mode::dladdr);
  }
  Names names;
  for (std::size_t i = 0; i < addresses.size() && i < frames.size(); ++i) {
    names[addresses[i]] = describe(addresses[i], frames[i]);
  }
  return names;
}

std::string title(const std::vector<pid_t>& threads) {
  constexpr std::size_t kShown = 8;
  std::string text = fmt::format("{} {} (", threads.size() == 1 ? "thread" : "threads",
                                 name_of_thread(threads.front()));
  for (std::size_t i = 0; i < std::min(kShown, threads.size()); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", threads[i]);
  }
  if (threads.size() > kShown) text += fmt::format(" and {} more", threads.size() - kShown);
  return text + (threads.front() == getpid() ? ", main)" : ")");
}

void run() {
  pthread_setname_np(pthread_self(), "stack_dump");
  watcher = own_tid();
  while (true) {
    while (sem_wait(&asked) != 0) {
    }
    while (sem_trywait(&asked) == 0) {
    }
    std::string text = collect();
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t written = write(STDERR_FILENO, text.data() + done, text.size() - done);
      if (written < 0 && errno != EINTR) break;
      if (written > 0) done += static_cast<std::size_t>(written);
    }
    pulse::stacks_written();
  }
}

}  // namespace

void watch() {
  sem_init(&asked, 0, 0);
  sem_init(&captured, 0, 0);
  // The first call loads the unwinder, which a handler must not.
  std::array<void*, 4> unused;
  backtrace(unused.data(), static_cast<int>(unused.size()));
  struct sigaction action{};
  action.sa_sigaction = on_dump_signal;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(pulse::dump_signal(), &action, nullptr);

  // Other signals are for the threads that do the work.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(run).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pulse::takes_dumps();
}

std::string collect() {
  std::vector<pid_t> tids = threads();
  std::erase(tids, own_tid());
  std::erase(tids, watcher.load());
  if (tids.size() > kMaxThreads) tids.resize(kMaxThreads);
  Stacks stacks = capture(tids);
  std::string text =
      fmt::format("lctl-trainer: the stacks of {} threads, the main one last\n", tids.size());
  for (const pid_t tid : stacks[{}]) {
    text += fmt::format("thread {} ({}) did not answer\n", name_of_thread(tid), tid);
  }
  stacks.erase(std::vector<void*>());

  std::vector<const Stacks::value_type*> ordered;
  for (const auto& each : stacks) ordered.push_back(&each);
  std::stable_partition(ordered.begin(), ordered.end(),
                        [](const auto* each) { return each->second.front() != getpid(); });
  if (ordered.size() > kMaxStacks) ordered.erase(ordered.begin(), ordered.end() - kMaxStacks);
  std::vector<void*> addresses;
  for (const auto* each : ordered) {
    addresses.insert(addresses.end(), each->first.begin(), each->first.end());
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  const Names names = names_of(addresses);
  for (const auto* each : ordered) {
    text += title(each->second) + "\n";
    for (std::size_t i = 0; i < each->first.size(); ++i) {
      const auto name = names.find(each->first[i]);
      text += fmt::format("  #{} {}\n", i, name == names.end() ? "??" : name->second);
    }
  }
  return text;
}

}  // namespace lctl::stacks
