#include "worker/trainer/data/interleaved_image.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lctl {
namespace {

constexpr int kChannels = 3;

struct Planes {
  std::uint8_t* red;
  std::uint8_t* green;
  std::uint8_t* blue;
};

void split_one_by_one(const std::uint8_t* pixels, std::int64_t from, std::int64_t to,
                      const Planes& planes) {
  for (std::int64_t i = from; i < to; ++i) {
    planes.red[i] = pixels[kChannels * i];
    planes.green[i] = pixels[kChannels * i + 1];
    planes.blue[i] = pixels[kChannels * i + 2];
  }
}

#if defined(__x86_64__)

// 16 pixels are three vectors. The bytes of a channel have different places in the three, so that
// they can be laid over each other; one shuffle brings them into order.
struct Channel {
  alignas(32) std::int8_t second[32];  // -1: this place is the second vector's
  alignas(32) std::int8_t third[32];
  alignas(32) std::int8_t order[32];
};

// Pixel i's byte of channel `number` is byte 3 * i + number of the three vectors. Both halves of a
// vector are alike.
constexpr Channel channel(int number) {
  Channel channel = {};
  for (int i = 0; i < 32; ++i) {
    const int place = i % 16;
    channel.second[i] = place % kChannels == (number + 2) % kChannels ? -1 : 0;
    channel.third[i] = place % kChannels == (number + 1) % kChannels ? -1 : 0;
    channel.order[i] = static_cast<std::int8_t>((kChannels * place + number) % 16);
  }
  return channel;
}

constexpr Channel kRed = channel(0);
constexpr Channel kGreen = channel(1);
constexpr Channel kBlue = channel(2);

__attribute__((target("avx2"))) inline __m256i table(const std::int8_t* places) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(places));
}

__attribute__((target("avx2"))) inline __m256i two(const std::uint8_t* low,
                                                   const std::uint8_t* high) {
  return _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
}

__attribute__((target("avx2"))) inline void put_channel(std::uint8_t* to, const Channel& channel,
                                                        __m256i first, __m256i second,
                                                        __m256i third) {
  const __m256i mixed = _mm256_blendv_epi8(_mm256_blendv_epi8(first, second, table(channel.second)),
                                           third, table(channel.third));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm256_shuffle_epi8(mixed, table(channel.order)));
}

// 32 pixels at a time: the halves of a vector are 16 of them each.
__attribute__((target("avx2"))) void split_by_vectors(const std::uint8_t* pixels,
                                                      std::int64_t count, const Planes& planes) {
  const Planes to = planes;  // its own copy: what is written through them does not change it
  std::int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const std::uint8_t* from = pixels + kChannels * i;
    const __m256i first = two(from, from + 48);
    const __m256i second = two(from + 16, from + 64);
    const __m256i third = two(from + 32, from + 80);
    put_channel(to.red + i, kRed, first, second, third);
    put_channel(to.green + i, kGreen, first, second, third);
    put_channel(to.blue + i, kBlue, first, second, third);
  }
  split_one_by_one(pixels, i, count, planes);
}

void split(const std::uint8_t* pixels, std::int64_t count, const Planes& planes) {
  if (__builtin_cpu_supports("avx2")) return split_by_vectors(pixels, count, planes);
  split_one_by_one(pixels, 0, count, planes);
}

#else

void split(const std::uint8_t* pixels, std::int64_t count, const Planes& planes) {
  split_one_by_one(pixels, 0, count, planes);
}

#endif

}  // namespace

bool is_interleaved_image(const at::Tensor& image) {
  return image.dim() == 3 && image.scalar_type() == at::kByte && image.device().is_cpu() &&
         image.size(0) == kChannels && image.stride(0) == 1 && image.stride(2) == kChannels &&
         image.stride(1) == kChannels * image.size(2);
}

void split_into_planes(const at::Tensor& image, std::uint8_t* to) {
  const std::int64_t pixels = image.size(1) * image.size(2);
  split_into_planes(image.const_data_ptr<std::uint8_t>(), pixels, to, pixels);
}

void split_into_planes(const std::uint8_t* pixels, std::int64_t count, std::uint8_t* to,
                       std::int64_t plane) {
  split(pixels, count, {to, to + plane, to + 2 * plane});
}

}  // namespace lctl
