#include "worker/trainer/checkpoint/snapshot.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unordered_set>
#include <vector>

namespace lctl::checkpoint {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kPiece = std::size_t{1} << 20;  // that one thread copies at a time

std::size_t rounded_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

struct Piece {
  const std::byte* from;
  std::byte* to;
  std::size_t bytes;
};

// `to` is aligned to 64 bytes. Nothing of a snapshot is read again soon: stores that go past the
// caches spare reading what they overwrite, a third of the memory's work.
void copy(const Piece& piece) {
  std::size_t at = 0;
  for (; at + 64 <= piece.bytes; at += 64) {
    const auto* from = reinterpret_cast<const __m128i*>(piece.from + at);
    auto* to = reinterpret_cast<__m128i*>(piece.to + at);
    _mm_prefetch(reinterpret_cast<const char*>(piece.from + at + 512), _MM_HINT_NTA);
    const __m128i a = _mm_loadu_si128(from);
    const __m128i b = _mm_loadu_si128(from + 1);
    const __m128i c = _mm_loadu_si128(from + 2);
    const __m128i d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  std::memcpy(piece.to + at, piece.from + at, piece.bytes - at);
}

void copy_all(const std::vector<Piece>& pieces) {
  at::parallel_for(0, static_cast<std::int64_t>(pieces.size()), 4,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i)
                       copy(pieces[static_cast<std::size_t>(i)]);
                     _mm_sfence();  // the writer's thread reads them
                   });
}

}  // namespace

void SnapshotMemory::Free::operator()(std::byte* memory) const { std::free(memory); }

void SnapshotMemory::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  pinned_.reset();
  memory_.reset();
  capacity_ = 0;
  const std::size_t size = rounded_up(bytes, bytes < kHugePage ? kAlignment : kHugePage);
  void* const memory = std::aligned_alloc(bytes < kHugePage ? kAlignment : kHugePage, size);
  if (memory == nullptr) throw std::bad_alloc();
  memory_.reset(static_cast<std::byte*>(memory));
  // Fewer, larger pages: less to do when they are first touched. Not everywhere possible.
  madvise(memory, size, MADV_HUGEPAGE);
  constexpr std::size_t kPage = 4096;
  for (std::size_t at = 0; at < size; at += kPage) memory_.get()[at] = std::byte{0};
  capacity_ = size;
  if (pin_) pinned_ = pin_(memory, size);
}

std::size_t snapshot_bytes(const Pickled& pickled) {
  std::size_t bytes = 0;
  for (const at::Tensor& storage : pickled.storages)
    bytes += rounded_up(storage.nbytes(), kAlignment);
  return bytes;
}

const Pickled& Snapshot::wait() const {
  for (const c10::Event& event : arrived_) event.synchronize();
  return pickled_;
}

Snapshot snapshot(Pickled pickled, SnapshotMemory& memory) {
  memory.reserve(snapshot_bytes(pickled));
  std::vector<Piece> pieces;
  std::vector<at::Tensor> before;  // what is copied from stays until it is
  std::unordered_set<c10::Device> devices;
  std::byte* to = memory.data();
  for (at::Tensor& storage : pickled.storages) {
    const std::size_t bytes = storage.nbytes();
    before.push_back(storage);
    storage = at::from_blob(to, {static_cast<std::int64_t>(bytes)}, at::kByte);
    to += rounded_up(bytes, kAlignment);
    if (!before.back().is_cpu()) {
      // First, so that the device is at work while the host copies its own.
      storage.copy_(before.back(), /*non_blocking=*/true);
      devices.insert(before.back().device());
    }
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!before[i].is_cpu()) continue;
    const auto* from = static_cast<const std::byte*>(before[i].const_data_ptr());
    auto* const target = static_cast<std::byte*>(pickled.storages[i].mutable_data_ptr());
    for (std::size_t at = 0; at < before[i].nbytes(); at += kPiece)
      pieces.push_back({from + at, target + at, std::min(kPiece, before[i].nbytes() - at)});
  }
  copy_all(pieces);
  Snapshot result;
  for (const c10::Device device : devices) {
    const c10::impl::VirtualGuardImpl streams(device.type());
    result.arrived_.emplace_back(device.type());
    result.arrived_.back().record(streams.getStream(device));
  }
  result.pickled_ = std::move(pickled);
  return result;
}

}  // namespace lctl::checkpoint
