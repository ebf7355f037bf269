#include "worker/agent/checkpoint_transfer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "worker/agent/process_start.h"

namespace lctl::agent {
namespace {

constexpr std::size_t kChunkBytes = 4 << 20;
constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{10'000};

absl::Status to_status(const grpc::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()), fmt::format("{}: {}", what, status.error_message())};
}

// SHA-256 in pieces.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    LCTL_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
               "OpenSSL has SHA-256");
  }
  void update(std::string_view bytes) {
    LCTL_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "hashing memory cannot fail");
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    LCTL_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1, "hashing memory cannot fail");
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

absl::StatusOr<std::string> read_at(int fd, std::uint64_t offset, std::size_t size, const std::filesystem::path& file) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno != EINTR) return errno_status(errno, fmt::format("reading {}", file.string()));
    if (got == 0) break;
    done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  bytes.resize(done);
  return bytes;
}

// Repeating cannot help: the store has answered, or the file is gone.
bool is_final(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) || absl::IsNotFound(status);
}

// The chunks of a file and the hash of the whole.
absl::StatusOr<v1::CommitCheckpointRequest> hash_file(const Descriptor& fd, const Upload& upload) {
  v1::CommitCheckpointRequest manifest;
  manifest.set_job_id(upload.attempt.job.str());
  manifest.set_attempt(upload.attempt.number);
  manifest.set_rank(upload.rank);
  *manifest.mutable_written() = upload.written;
  manifest.set_time_us(upload.time_us);
  Sha256 whole;
  for (std::uint64_t offset = 0;; offset += kChunkBytes) {
    LCTL_ASSIGN_OR_RETURN(const std::string bytes, read_at(fd.get(), offset, kChunkBytes, upload.file));
    if (bytes.empty()) break;
    Sha256 chunk;
    chunk.update(bytes);
    whole.update(bytes);
    v1::ChunkRef& reference = *manifest.add_chunks();
    reference.set_sha256(chunk.hex());
    reference.set_size(static_cast<std::int64_t>(bytes.size()));
  }
  manifest.set_sha256(whole.hex());
  return manifest;
}

}  // namespace

Uploader::Uploader(std::shared_ptr<grpc::Channel> channel, OnDone on_done)
    : stub_(v1::Checkpoints::NewStub(channel)), on_done_(std::move(on_done)), thread_([this] { run(); }) {}

Uploader::~Uploader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }
  changed_.notify_all();
  thread_.join();
}

void Uploader::add(Upload upload) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(upload));
  }
  changed_.notify_all();
}

void Uploader::drop(const AttemptId& attempt) {
  const std::lock_guard lock(mutex_);
  std::erase_if(queue_, [&](const Upload& upload) { return upload.attempt == attempt; });
}

void Uploader::run() {
  std::chrono::milliseconds pause = kFirstPause;
  while (true) {
    Upload next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      next = queue_.front();
    }
    const absl::Status status = upload(next);
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    if (!status.ok() && !is_final(status)) {
      logger("uploader").warn("{} rank {}: {}: {}; trying again", next.attempt.str(), next.rank,
                              next.file.filename().string(), message_of(status));
      changed_.wait_for(lock, pause, [&] { return stopping_; });
      pause = std::min(2 * pause, kLongestPause);
      continue;
    }
    pause = kFirstPause;
    // drop() may have removed it meanwhile.
    if (!queue_.empty() && queue_.front().file == next.file) queue_.pop_front();
    lock.unlock();
    if (!status.ok()) {
      logger("uploader").error("{} rank {}: {} is given up: {}", next.attempt.str(), next.rank,
                               next.file.filename().string(), message_of(status));
    }
    std::error_code ignored;
    std::filesystem::remove(next.file, ignored);
    on_done_(next, status);
  }
}

absl::Status Uploader::upload(const Upload& upload) {
  const Descriptor fd(open(upload.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno_status(errno, fmt::format("opening {}", upload.file.string()));
  LCTL_ASSIGN_OR_RETURN(const v1::CommitCheckpointRequest manifest, hash_file(fd, upload));

  // Each call gets a context that the destructor can cancel.
  const auto call = [&](auto&& body) {
    grpc::ClientContext context;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return absl::CancelledError("stopping");
      context_ = &context;
    }
    const absl::Status status = body(context);
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
    return status;
  };

  v1::FindMissingResponse missing;
  LCTL_RETURN_IF_ERROR(call([&](grpc::ClientContext& context) {
    v1::FindMissingRequest request;
    for (const v1::ChunkRef& chunk : manifest.chunks()) request.add_sha256(chunk.sha256());
    return to_status(stub_->FindMissing(&context, request, &missing), "asking for missing chunks");
  }));

  std::set<std::string> wanted(missing.sha256().begin(), missing.sha256().end());
  if (!wanted.empty()) {
    LCTL_RETURN_IF_ERROR(call([&](grpc::ClientContext& context) -> absl::Status {
      v1::PutChunksResponse response;
      const auto writer = stub_->PutChunks(&context, &response);
      std::uint64_t offset = 0;
      for (const v1::ChunkRef& reference : manifest.chunks()) {
        if (wanted.erase(reference.sha256()) > 0) {
          v1::Chunk chunk;
          chunk.set_sha256(reference.sha256());
          LCTL_ASSIGN_OR_RETURN(*chunk.mutable_data(),
                                read_at(fd.get(), offset, static_cast<std::size_t>(reference.size()), upload.file));
          if (!writer->Write(chunk)) break;
        }
        offset += static_cast<std::uint64_t>(reference.size());
      }
      writer->WritesDone();
      return to_status(writer->Finish(), "sending chunks");
    }));
  }
  return call([&](grpc::ClientContext& context) {
    v1::CommitCheckpointResponse response;
    return to_status(stub_->Commit(&context, manifest, &response), "committing");
  });
}

absl::Status download_checkpoint(const std::shared_ptr<grpc::Channel>& channel, const std::string& checkpoint_id,
                                 const std::filesystem::path& file) {
  const auto stub = v1::Checkpoints::NewStub(channel);
  const std::string part = file.string() + ".part";
  const Descriptor fd(open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!fd.valid()) return errno_status(errno, fmt::format("creating {}", part));
  // What is there already is hashed, not trusted.
  Sha256 whole;
  std::uint64_t have = 0;
  while (true) {
    LCTL_ASSIGN_OR_RETURN(const std::string bytes, read_at(fd.get(), have, kChunkBytes, part));
    if (bytes.empty()) break;
    whole.update(bytes);
    have += bytes.size();
  }
  grpc::ClientContext context;
  v1::DownloadRequest request;
  request.set_checkpoint_id(checkpoint_id);
  request.set_offset(static_cast<std::int64_t>(have));
  const auto reader = stub->Download(&context, request);
  v1::DownloadChunk chunk;
  std::string expected;
  while (reader->Read(&chunk)) {
    if (!chunk.sha256().empty()) expected = chunk.sha256();
    std::string_view rest = chunk.data();
    whole.update(rest);
    while (!rest.empty()) {
      const ssize_t got = pwrite(fd.get(), rest.data(), rest.size(), static_cast<off_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        const absl::Status status = errno_status(errno, fmt::format("writing {}", part));
        context.TryCancel();
        reader->Finish();
        return status;
      }
      have += static_cast<std::uint64_t>(got);
      rest.remove_prefix(static_cast<std::size_t>(got));
    }
  }
  LCTL_RETURN_IF_ERROR(to_status(reader->Finish(), fmt::format("downloading checkpoint {}", checkpoint_id)));
  if (whole.hex() != expected) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    return absl::DataLossError(fmt::format("checkpoint {} arrived damaged: its hash is not {}", checkpoint_id, expected));
  }
  if (rename(part.c_str(), file.c_str()) != 0) return errno_status(errno, fmt::format("renaming {}", part));
  return absl::OkStatus();
}

}  // namespace lctl::agent
