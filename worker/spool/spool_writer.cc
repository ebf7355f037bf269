#include "worker/spool/spool_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "worker/spool/spool_reader.h"

namespace lctl::spool {
namespace {

absl::Status write_all(int fd, std::string_view bytes, const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_status(errno, fmt::format("writing the spool {}", file.string()));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

// Where a new record may start: behind the last whole one. A torn tail is cut off.
absl::StatusOr<std::uint64_t> end_of_records(const std::filesystem::path& file) {
  auto reader = SpoolReader::open(file, 0);
  while (true) {
    LCTL_ASSIGN_OR_RETURN(const auto records, reader->read(1 << 20));
    if (records.empty()) return reader->offset();
  }
}

class FileSpoolWriter final : public SpoolWriter {
 public:
  FileSpoolWriter(Options options, int fd, std::uint64_t offset)
      : options_(std::move(options)), fd_(fd), offset_(offset), in_file_(offset), thread_([this] {
          run();
        }) {}

  ~FileSpoolWriter() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
    close(fd_);
  }

  absl::StatusOr<std::uint64_t> append(const v1::Event& event) override {
    const std::size_t size = event.ByteSizeLong();
    if (size == 0) return absl::InvalidArgumentError("an empty event cannot be spooled");
    if (size > kMaxRecordBytes) {
      return absl::InvalidArgumentError(fmt::format(
          "an event of {} bytes exceeds the spool's limit of {}", size, kMaxRecordBytes));
    }
    std::unique_lock lock(mutex_);
    // Back-pressure: the disk is far behind, so wait for it rather than grow without bound.
    written_.wait(lock,
                  [&] { return pending_.size() < options_.max_buffered_bytes || !error_.ok(); });
    if (!error_.ok()) return error_;
    payload_.clear();
    event.AppendToString(&payload_);
    const bool was_empty = pending_.empty();
    encode_record(payload_, pending_);
    offset_ += kRecordHeaderBytes + payload_.size();
    const std::uint64_t next = offset_;
    lock.unlock();
    if (was_empty) work_.notify_one();
    return next;
  }

  std::uint64_t offset() const override {
    const std::lock_guard lock(mutex_);
    return offset_;
  }

  absl::Status flush() override {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = offset_;
    flush_wanted_ = true;
    work_.notify_one();
    written_.wait(lock, [&] { return in_file_ >= wanted || !error_.ok(); });
    return error_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [&] { return stopping_ || flush_wanted_ || !pending_.empty(); });
      if (!stopping_ && !flush_wanted_) {
        // Let more records gather: one write for many.
        work_.wait_for(lock, std::chrono::microseconds(options_.flush_interval_us),
                       [&] { return stopping_ || flush_wanted_; });
      }
      flush_wanted_ = false;
      writing_.clear();
      std::swap(writing_, pending_);
      const std::uint64_t end = offset_;
      lock.unlock();
      const absl::Status status = write_all(fd_, writing_, options_.file);
      lock.lock();
      if (!status.ok() && error_.ok()) error_ = status;
      in_file_ = end;
      written_.notify_all();
      if (stopping_ && pending_.empty()) return;
      if (!error_.ok()) pending_.clear();
    }
  }

  const Options options_;
  const int fd_;

  mutable std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable work_;     // something to write, or the end
  std::condition_variable written_;  // the buffer was handed to the file
  std::string pending_;              // encoded, not yet being written
  std::string payload_;              // scratch of append(), kept for its capacity
  std::uint64_t offset_;             // of the next record
  std::uint64_t in_file_;            // records before it are in the file (or lost with error_)
  bool flush_wanted_ = false;
  bool stopping_ = false;
  absl::Status error_;

  std::string writing_;  // only the thread's
  std::thread thread_;   // last: starts when all else is ready
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpoolWriter>> SpoolWriter::open(Options options) {
  const std::string name = options.file.string();
  const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return errno_status(errno, fmt::format("opening the spool {}", name));
  std::uint64_t offset = 0;
  absl::Status status;
  struct stat info = {};
  if (fstat(fd, &info) != 0) {
    status = errno_status(errno, fmt::format("reading the size of the spool {}", name));
  } else if (static_cast<std::size_t>(info.st_size) < kFileHeader.size()) {
    if (ftruncate(fd, 0) != 0) {
      status = errno_status(errno, fmt::format("truncating the spool {}", name));
    } else {
      status = write_all(fd, kFileHeader, options.file);
    }
    offset = kFileHeader.size();
  } else {
    const absl::StatusOr<std::uint64_t> end = end_of_records(options.file);
    status = end.status();
    if (end.ok()) {
      offset = *end;
      if (ftruncate(fd, static_cast<off_t>(offset)) != 0) {
        status = errno_status(errno, fmt::format("cutting the torn tail of the spool {}", name));
      }
    }
  }
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return std::make_unique<FileSpoolWriter>(std::move(options), fd, offset);
}

}  // namespace lctl::spool
