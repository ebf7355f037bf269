#include "worker/trainer/checkpoint/background_writer.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "worker/trainer/checkpoint/file.h"
#include "worker/trainer/core/console.h"

namespace lctl::checkpoint {
namespace {

constexpr std::size_t kMostSnapshots = 2;

}  // namespace

BackgroundWriter::BackgroundWriter(Options options) : options_(std::move(options)) {}

BackgroundWriter::~BackgroundWriter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (error_ == nullptr) return;
  try {
    std::rethrow_exception(error_);
  } catch (const std::exception& error) {
    console::warn(fmt::format("a checkpoint could not be written: {}", error.what()));
  }
}

bool BackgroundWriter::affordable(std::size_t bytes) const {
  if (!options_.available_memory) return true;
  const std::int64_t available = options_.available_memory();
  // As much again stays for the page cache that the file goes through, and for training.
  return available < 0 || available / 2 >= static_cast<std::int64_t>(bytes);
}

BackgroundWriter::Kept* BackgroundWriter::unused_memory() {
  const std::lock_guard lock(mutex_);
  Kept* largest = nullptr;
  for (const auto& kept : memories_) {
    if (kept->used) continue;
    if (largest == nullptr || kept->memory.capacity() > largest->memory.capacity())
      largest = kept.get();
  }
  return largest;
}

bool BackgroundWriter::preparing() {
  const std::lock_guard lock(mutex_);
  return std::any_of(memories_.begin(), memories_.end(),
                     [](const auto& kept) { return kept->preparing; });
}

BackgroundWriter::Kept* BackgroundWriter::memory_for(std::size_t bytes) {
  Kept* unused = unused_memory();
  // What is being made ready is there sooner than another memory would be.
  if (unused == nullptr && (memories_.size() == kMostSnapshots || preparing())) {
    wait();
    unused = unused_memory();
  }
  const std::size_t there = unused == nullptr ? 0 : unused->memory.capacity();
  if (bytes > there && !affordable(bytes - there)) {
    wait();  // perhaps one that is in use is large enough
    unused = unused_memory();
    return unused != nullptr && unused->memory.capacity() >= bytes ? unused : nullptr;
  }
  if (unused != nullptr) return unused;
  return memories_.emplace_back(std::make_unique<Kept>(options_.pin)).get();
}

void BackgroundWriter::write(const std::string& file, const Value& value, Work then, Work done) {
  poll();
  Pickled pickled = pickle(value);
  Kept* const kept = options_.in_background ? memory_for(snapshot_bytes(pickled)) : nullptr;
  if (kept == nullptr) {
    wait();
    write_file(file, pickled);
    if (then) then();
    if (done) done();
    return;
  }
  auto copy = std::make_shared<const Snapshot>(snapshot(std::move(pickled), kept->memory));
  expected_[file] = true;
  submit({[file, copy = std::move(copy), then = std::move(then)] {
            write_file(file, copy->wait());
            if (then) then();
          },
          std::move(done), kept});
}

void BackgroundWriter::remove(const std::string& file, Work done) {
  poll();
  expected_[file] = false;
  submit({[file] {
            std::error_code ignored;
            std::filesystem::remove_all(file, ignored);
          },
          std::move(done), nullptr});
}

void BackgroundWriter::make(const std::string& file, Work work) {
  poll();
  expected_[file] = true;
  submit({std::move(work), nullptr, nullptr});
}

bool BackgroundWriter::exists(const std::string& file) const {
  if (const auto found = expected_.find(file); found != expected_.end()) return found->second;
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(file, ignored));
}

void BackgroundWriter::submit(Task task) {
  if (!options_.in_background) {
    expected_.clear();
    task.work();
    if (task.done) task.done();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (error_ != nullptr) return;  // something before it has just failed: the next call throws
    if (task.kept != nullptr) task.kept->used = true;
    tasks_.push_back(std::move(task));
  }
  if (thread_.joinable()) {
    changed_.notify_all();
  } else {
    thread_ = std::thread([this] { run(); });
  }
}

void BackgroundWriter::run() {
  pthread_setname_np(pthread_self(), "lctl-checkpoint");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    Task& task = tasks_.front();  // stays where it is while others come behind it
    lock.unlock();
    std::exception_ptr error;
    try {
      task.work();
    } catch (...) {
      error = std::current_exception();
    }
    task.work = nullptr;  // lets go of its memory before anybody is told
    lock.lock();
    if (task.done && error == nullptr) done_.push_back(std::move(task.done));
    if (task.kept != nullptr) task.kept->used = task.kept->preparing = false;
    tasks_.pop_front();
    if (error != nullptr) {
      error_ = error;
      for (const Task& dropped : tasks_) {
        if (dropped.kept != nullptr) dropped.kept->used = dropped.kept->preparing = false;
      }
      tasks_.clear();
    }
    news_ = true;
    changed_.notify_all();
  }
}

void BackgroundWriter::poll() {
  if (!news_.load(std::memory_order_relaxed)) return;
  std::vector<Work> done;
  std::exception_ptr error;
  {
    const std::lock_guard lock(mutex_);
    news_ = false;
    done.swap(done_);
    error = std::exchange(error_, nullptr);
    if (tasks_.empty()) expected_.clear();  // the disk tells by itself again
  }
  for (const Work& each : done) each();
  if (error != nullptr) std::rethrow_exception(error);
}

void BackgroundWriter::wait() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.empty(); });
  }
  poll();
}

void BackgroundWriter::expect(std::size_t bytes) {
  if (!options_.in_background || !memories_.empty() || !affordable(bytes)) return;
  Kept* const kept = memories_.emplace_back(std::make_unique<Kept>(options_.pin)).get();
  kept->preparing = true;  // nobody else knows it yet
  submit({[kept, bytes] { kept->memory.reserve(bytes); }, nullptr, kept});
}

}  // namespace lctl::checkpoint
