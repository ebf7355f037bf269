#include "worker/trainer/checkpoint/file.h"

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>

#include "base/descriptor.h"
#include "worker/trainer/checkpoint/pickle_reader.h"
#include "worker/trainer/checkpoint/pickle_writer.h"

namespace lctl::checkpoint {
namespace {

constexpr std::size_t kWriteStep = 8 << 20;
// So much at a time is sent on its way to the disk, which then works while the next is prepared.
constexpr off_t kDiskStep = 32 << 20;
// LibTorch's writer hands over many pieces of a few bytes for each tensor: they go out together.
constexpr std::size_t kGathered = 64 << 10;

[[noreturn]] void throw_errno(const char* what, const std::filesystem::path& file) {
  throw std::system_error(errno, std::generic_category(),
                          fmt::format("{} {}", what, file.string()));
}

void sync_folder(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0 || fsync(descriptor.get()) != 0) throw_errno("syncing folder", folder);
}

void write_entries(const Pickled& pickled, caffe2::serialize::PyTorchStreamWriter& writer) {
  writer.writeRecord("data.pkl", pickled.bytes.data(), pickled.bytes.size());
  // As torch.save does: readers learn version, alignment and byte order from entries of their own.
  writer.writeRecord(".format_version", "1", 1);
  writer.writeRecord(".storage_alignment", "64", 2);
  writer.writeRecord("byteorder", "little", 6);
  for (std::size_t i = 0; i < pickled.storages.size(); ++i) {
    const at::Tensor bytes = pickled.storages[i].cpu();  // itself, unless it is on a device
    writer.writeRecord("data/" + std::to_string(i), bytes.data_ptr(), bytes.nbytes());
  }
  writer.writeEndOfFile();
}

// Positioned reads from a file that may not be what its headers claim.
class FileAdapter final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit FileAdapter(const std::filesystem::path& file)
      : file_(file), descriptor_(open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info = {};
    if (descriptor_.get() < 0 || fstat(descriptor_.get(), &info) != 0) throw_errno("opening", file);
    if (S_ISDIR(info.st_mode)) {
      errno = EISDIR;
      throw_errno("opening", file);
    }
    size_ = static_cast<std::size_t>(info.st_size);
  }

  std::size_t size() const override { return size_; }

  std::size_t read(std::uint64_t position, void* buffer, std::size_t size,
                   const char* /*what*/) const override {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = pread(descriptor_.get(), static_cast<char*>(buffer) + done, size - done,
                                static_cast<off_t>(position + done));
      if (got < 0 && errno != EINTR) throw_errno("reading", file_);
      if (got == 0) break;
      done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    }
    return done;
  }

 private:
  std::filesystem::path file_;
  Descriptor descriptor_;
  std::size_t size_ = 0;
};

Value read_entries(caffe2::serialize::PyTorchStreamReader& reader, std::size_t file_size) {
  const auto record = [&](const std::string& name) {
    // A stored entry cannot be larger than its file: refuse before memory is asked for.
    if (reader.getRecordSize(name) > file_size) {
      throw std::runtime_error(fmt::format("entry {} claims to be larger than the file", name));
    }
    return reader.getRecord(name);
  };
  if (reader.hasRecord("byteorder")) {
    const auto [data, size] = record("byteorder");
    if (std::string_view(static_cast<const char*>(data.get()), size) != "little") {
      throw std::runtime_error("it was written on a big-endian machine");
    }
  }
  const auto [pickle_data, pickle_size] = record("data.pkl");
  const StorageLoader load = [&](const std::string& key, std::size_t bytes) {
    auto [data, size] = record("data/" + key);
    if (size != bytes) {
      throw std::runtime_error(
          fmt::format("entry data/{} has {} bytes where {} were promised", key, size, bytes));
    }
    return c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(data));
  };
  return unpickle({static_cast<const char*>(pickle_data.get()), pickle_size}, load);
}

// First line of LibTorch's message, without its stack.
std::string brief(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

}  // namespace

void write_file(const std::filesystem::path& file, const Value& value) {
  write_file(file, pickle(value));
}

void write_file(const std::filesystem::path& file, const Pickled& pickled) {
  const std::filesystem::path temporary = file.string() + fmt::format(".tmp-{}", getpid());
  try {
    const Descriptor descriptor(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (descriptor.get() < 0) throw_errno("creating", temporary);
    int error = 0;
    off_t written = 0;
    off_t on_its_way = 0;
    std::string gathered;
    const auto put = [&](const char* data, std::size_t size) {
      std::size_t done = 0;
      while (done < size && error == 0) {
        const ssize_t got = write(descriptor.get(), data + done, std::min(size - done, kWriteStep));
        if (got < 0 && errno != EINTR) error = errno;
        done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
        written += std::max<ssize_t>(got, 0);
        if (written - on_its_way < kDiskStep) continue;
        // Where it cannot be done the sync at the end has more to do.
        static_cast<void>(sync_file_range(descriptor.get(), on_its_way, written - on_its_way,
                                          SYNC_FILE_RANGE_WRITE));
        on_its_way = written;
      }
    };
    const auto sink = [&](const void* data, std::size_t size) -> std::size_t {
      if (gathered.size() + size > kGathered) {
        put(gathered.data(), gathered.size());
        gathered.clear();
      }
      if (size > kGathered) {
        put(static_cast<const char*>(data), size);
      } else {
        gathered.append(static_cast<const char*>(data), size);
      }
      // The stream's destructor ends the process over a short write: let it finish, and throw
      // below.
      return size;
    };
    try {
      caffe2::serialize::PyTorchStreamWriter writer(sink);
      write_entries(pickled, writer);
    } catch (const c10::Error& failure) {
      if (error == 0) {
        throw std::runtime_error(fmt::format("writing {}: {}", file.string(), brief(failure)));
      }
    }
    put(gathered.data(), gathered.size());
    if (error != 0) {
      errno = error;
      throw_errno("writing", temporary);
    }
    if (fsync(descriptor.get()) != 0) throw_errno("syncing", temporary);
    std::filesystem::rename(temporary, file);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
  sync_folder(file);
}

Value read_file(const std::filesystem::path& file) {
  auto adapter = std::make_shared<FileAdapter>(file);
  const auto refuse = [&](const std::string& why) {
    return NotACheckpoint(fmt::format("{}: not a checkpoint: {}", file.string(), why));
  };
  try {
    caffe2::serialize::PyTorchStreamReader reader(adapter);
    return read_entries(reader, adapter->size());
  } catch (const PickleError& error) {
    throw refuse(fmt::format("{} (at byte {} of data.pkl)", error.what(), error.at()));
  } catch (const c10::Error& error) {
    throw refuse(brief(error));
  } catch (const std::system_error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw refuse(error.what());
  }
}

}  // namespace lctl::checkpoint
