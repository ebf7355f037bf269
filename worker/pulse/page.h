// What a rank tells of itself all the time: one small page of memory that its node daemon reads
// (docs/formats/launch.md, "The pulse"). Numbers only, each written alone: a reader may see them a
// few nanoseconds apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace lctl::pulse {

inline constexpr std::uint64_t kMagic = 0x534c'5550'4c54'434c;  // "LCTLPULS"
inline constexpr std::uint32_t kVersion = 1;

// Numbers of the format: never reused.
enum class Phase : std::uint32_t {
  kStarting = 0,  // before the first hook of a run: data is prepared, ranks find each other
  kTraining = 1,  // batches of an epoch
  kValidating = 2,
  kTesting = 3,
  kPredicting = 4,
  kBetween = 5,  // epochs, and kinds of batches
  kSaving = 6,   // a checkpoint
  kEnding = 7,
};

enum class Collective : std::uint8_t {
  kNone = 0,
  kAllReduce = 1,
  kBroadcast = 2,
  kAllGather = 3,
  kBarrier = 4,
};

// "training", "between epochs", …; of a number that is none "in an unknown phase".
std::string_view name_of(Phase phase);
// torch.distributed's names: "all_reduce", …
std::string_view name_of(Collective kind);

// Zeros mean: not told yet.
struct alignas(64) Page {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t pid = 0;
  std::uint32_t phase = 0;        // Phase
  std::uint32_t in_batch = 0;     // 1: a batch is being worked on; 0: the next one is waited for
  std::uint64_t beats = 0;        // batches done, of any kind
  std::int64_t step = 0;          // optimizer steps done
  std::uint64_t begun = 0;        // collectives that this rank has begun; the first one is #1
  std::uint64_t passed = 0;       // and those that it has left behind
  std::uint64_t dumps = 0;        // times that it has written its stacks
  std::uint32_t takes_dumps = 0;  // 1: dump_signal() makes it write its stacks
  std::uint32_t reserved = 0;
  std::array<std::uint8_t, 16> recent{};  // what collective #n was: recent[n % 16]

  bool operator==(const Page&) const = default;
};
static_assert(sizeof(Page) == 128 && std::is_trivially_copyable_v<Page>);
static_assert(offsetof(Page, beats) == 24 && offsetof(Page, dumps) == 56 &&
              offsetof(Page, recent) == 72);

// What makes a rank write its stacks into its stderr. Only where takes_dumps says so: others die of
// it. LibTorch, CUDA, Gloo and glibc itself leave this real-time signal alone.
int dump_signal();

}  // namespace lctl::pulse
