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
#include "worker/trainer/checkpoint/stored_zip.h"

namespace lctl::checkpoint {
namespace {

// So much at a time is sent on its way to the disk, which then works while the next is prepared.
constexpr off_t kDiskStep = 32 << 20;
// Headers and small tensors: less than this goes out with what follows.
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

// A new file, written in order. Small pieces go out together, and the disk works while the next are
// prepared.
class FileWriter {
 public:
  explicit FileWriter(const std::filesystem::path& file)
      : file_(file),
        descriptor_(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)) {
    if (descriptor_.get() < 0) throw_errno("creating", file);
  }

  void append(const void* data, std::size_t size) {
    if (gathered_.size() + size > kGathered) flush();
    if (size > kGathered) {
      write_all(static_cast<const char*>(data), size);
    } else {
      gathered_.append(static_cast<const char*>(data), size);
    }
  }

  void sync() {
    flush();
    if (fsync(descriptor_.get()) != 0) throw_errno("syncing", file_);
  }

 private:
  void flush() {
    write_all(gathered_.data(), gathered_.size());
    gathered_.clear();
  }

  void write_all(const char* data, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
      const ssize_t got = write(descriptor_.get(), data + done, size - done);
      if (got < 0 && errno != EINTR) throw_errno("writing", file_);
      done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
      written_ += std::max<ssize_t>(got, 0);
    }
    if (written_ - on_its_way_ < kDiskStep) return;
    // Where it cannot be done the sync at the end has more to do.
    static_cast<void>(sync_file_range(descriptor_.get(), on_its_way_, written_ - on_its_way_,
                                      SYNC_FILE_RANGE_WRITE));
    on_its_way_ = written_;
  }

  const std::filesystem::path file_;
  const Descriptor descriptor_;
  std::string gathered_;
  off_t written_ = 0;
  off_t on_its_way_ = 0;
};

void write_entries(const Pickled& pickled, FileWriter& file) {
  StoredZip zip("archive", [&](const void* data, std::size_t size) { file.append(data, size); });
  zip.add("data.pkl", pickled.bytes.data(), pickled.bytes.size());
  // As torch.save does: readers learn version, alignment and byte order from entries of their own.
  zip.add(".format_version", "1", 1);
  zip.add(".storage_alignment", "64", 2);
  zip.add("byteorder", "little", 6);
  for (std::size_t i = 0; i < pickled.storages.size(); ++i) {
    const at::Tensor bytes = pickled.storages[i].cpu();  // itself, unless it is on a device
    zip.add(fmt::format("data/{}", i), bytes.data_ptr(), bytes.nbytes());
  }
  zip.finish();
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
    FileWriter writer(temporary);
    write_entries(pickled, writer);
    writer.sync();
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
