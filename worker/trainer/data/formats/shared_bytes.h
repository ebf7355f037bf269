// The bytes of a data file in memory, most often without having been read: a mapping.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lctl {

// How a mapped file is going to be read; says how far the kernel reads ahead.
enum class Access { kNormal, kInOrder, kRandom };

// Cheap to copy: copies share the bytes, which live as long as any copy or any tensor over them
// (owner()). A mapping is private: who writes to it changes this process' memory, never the file.
// A mapped file must not become shorter meanwhile: the kernel would end the process with SIGBUS.
// Thread rule: immutable; reads from any thread.
class SharedBytes {
 public:
  SharedBytes() = default;

  // Maps a regular file; an empty one too. Throws std::runtime_error with the path and the reason.
  static SharedBytes map(const std::string& path);

  // Bytes that are in memory already; `name` stands in messages.
  static SharedBytes of(std::string bytes, std::string name);

  // Room to be filled, aligned for any number type, not zeroed.
  static SharedBytes allocate(std::uint64_t size, std::string name);

  // `size` bytes from `offset` on, which the caller has checked to be there.
  SharedBytes part(std::uint64_t offset, std::uint64_t size, std::string name) const;

  // Advice for a mapping; no effect on other bytes.
  void advise(Access access) const;

  char* data() const { return data_; }
  std::uint64_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }
  const std::string& name() const { return name_; }
  const std::shared_ptr<void>& owner() const { return owner_; }

 private:
  char* data_ = nullptr;
  std::uint64_t size_ = 0;
  bool mapped_ = false;
  std::string name_;
  std::shared_ptr<void> owner_;
};

// Bytes of main memory in this machine.
std::uint64_t memory_size();

}  // namespace lctl
