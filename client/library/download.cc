// Download of a checkpoint's file: resumable, verified, whole or not at all.
#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/support/sync_stream.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "client/library/connection.h"

namespace lctl::client {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(const void* data, std::size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hex() {
    std::array<unsigned char, 32> digest;
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string text;
    for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
    return text;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// The "<path>.part" file. Thread rule: caller locks.
class PartFile {
 public:
  static absl::StatusOr<PartFile> open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return errno_status(errno, fmt::format("cannot write {}", path));
    struct stat info{};
    if (::fstat(fd, &info) != 0) return errno_status(errno, fmt::format("cannot read {}", path));
    return PartFile(path, fd, info.st_size);
  }
  PartFile(PartFile&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  std::int64_t size() const { return size_; }

  absl::Status append(const std::string& data) {
    std::size_t done = 0;
    while (done < data.size()) {
      const ssize_t n = ::pwrite(fd_, data.data() + done, data.size() - done, size_);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_status(errno, fmt::format("cannot write {}", path_));
      done += static_cast<std::size_t>(n);
      size_ += n;
    }
    return absl::OkStatus();
  }

  absl::Status clear() {
    if (::ftruncate(fd_, 0) != 0) return errno_status(errno, fmt::format("cannot empty {}", path_));
    size_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> sha256() {
    Sha256 digest;
    std::string buffer(1 << 20, '\0');
    for (std::int64_t at = 0;;) {
      const ssize_t n = ::pread(fd_, buffer.data(), buffer.size(), at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_status(errno, fmt::format("cannot read {}", path_));
      if (n == 0) return digest.hex();
      digest.add(buffer.data(), static_cast<std::size_t>(n));
      at += n;
    }
  }

  // Makes it the file at `path`, durable.
  absl::Status finish(const std::string& path) {
    if (::fsync(fd_) != 0) return errno_status(errno, fmt::format("cannot write {}", path_));
    if (::rename(path_.c_str(), path.c_str()) != 0) {
      return errno_status(errno, fmt::format("cannot rename {} to {}", path_, path));
    }
    return absl::OkStatus();
  }

 private:
  PartFile(std::string path, int fd, std::int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}

  std::string path_;
  int fd_;
  std::int64_t size_;
};

// What the first message of a stream says about the whole file.
struct Expected {
  std::string sha256;
  std::int64_t size = -1;  // -1 = not yet told
};

// Takes one message; OutOfRange when the stream does not fit what is there, so that the part is
// dropped and the download begins again.
absl::Status take(const v1::DownloadChunk& chunk, Expected& expected, PartFile& part) {
  if (!chunk.sha256().empty()) {
    if (!expected.sha256.empty() && expected.sha256 != chunk.sha256()) {
      return absl::OutOfRangeError("the server sends another file than before");
    }
    expected = {chunk.sha256(), chunk.total_size()};
  }
  if (chunk.offset() != part.size() && !chunk.data().empty()) {
    return absl::OutOfRangeError(
        fmt::format("the server sent byte {} when byte {} was next", chunk.offset(), part.size()));
  }
  if (expected.size >= 0 &&
      part.size() + static_cast<std::int64_t>(chunk.data().size()) > expected.size) {
    return absl::OutOfRangeError("the server sent more bytes than the file has");
  }
  return part.append(chunk.data());
}

}  // namespace

absl::Status Client::download(const std::string& checkpoint_id, const std::string& path,
                              const DownloadProgress& progress, std::stop_token stop) {
  Connection& connection = *connection_;
  LCTL_ASSIGN_OR_RETURN(PartFile part, PartFile::open(path + ".part"));
  Backoff backoff(*connection.channel, connection.options.backoff_first,
                  connection.options.backoff_limit);
  MonotonicTime last_heard = system_clock().monotonic_now();
  Expected expected;
  bool begun_again = false;
  // Drops what is there, once: a part of another checkpoint or a damaged one.
  const auto begin_again = [&](std::string_view why) -> absl::Status {
    if (begun_again) {
      return absl::DataLossError(fmt::format("checkpoint {}: {}", checkpoint_id, why));
    }
    begun_again = true;
    expected = {};
    return part.clear();
  };
  for (;;) {
    grpc::ClientContext context;
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    v1::DownloadRequest request;
    request.set_checkpoint_id(checkpoint_id);
    request.set_offset(part.size());
    const auto reader = connection.checkpoints->Download(&context, request);
    v1::DownloadChunk chunk;
    absl::Status taken;
    while (taken.ok() && reader->Read(&chunk)) {
      connection.reached = true;
      last_heard = system_clock().monotonic_now();
      backoff.reset();
      taken = take(chunk, expected, part);
      if (taken.ok() && progress && expected.size >= 0) progress(part.size(), expected.size);
    }
    if (!taken.ok()) context.TryCancel();
    const grpc::Status status = reader->Finish();
    if (stop.stop_requested()) return absl::CancelledError("interrupted");
    if (absl::IsOutOfRange(taken) || status.error_code() == grpc::StatusCode::OUT_OF_RANGE) {
      LCTL_RETURN_IF_ERROR(begin_again(taken.ok() ? status.error_message() : message_of(taken)));
      continue;
    }
    LCTL_RETURN_IF_ERROR(taken);
    if (!status.ok()) {
      if (!connection_broke(status) || connection.out_of_patience(last_heard)) {
        return from_grpc(status, connection.address);
      }
      if (!backoff.wait(stop)) return absl::CancelledError("interrupted");
      continue;
    }
    if (expected.size >= 0 && part.size() == expected.size) {
      LCTL_ASSIGN_OR_RETURN(const std::string sha256, part.sha256());
      if (sha256 == expected.sha256) return part.finish(path);
    }
    LCTL_RETURN_IF_ERROR(begin_again("its bytes do not have the SHA-256 that the server tells"));
  }
}

}  // namespace lctl::client
