#include "worker/trainer/data/interleaved_image.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lctl {
namespace {

constexpr std::int64_t kChannels = 3;

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

// 16 pixels are three vectors. Of each, a shuffle takes the bytes of one channel to their places in
// the result; -1 is a zero, so that the three can be joined.
__attribute__((target("ssse3"))) void split_by_vectors(const std::uint8_t* pixels,
                                                       std::int64_t count, const Planes& planes) {
  const __m128i red0 = _mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i red1 = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1);
  const __m128i red2 = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13);
  const __m128i green0 = _mm_setr_epi8(1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i green1 = _mm_setr_epi8(-1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1);
  const __m128i green2 = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14);
  const __m128i blue0 = _mm_setr_epi8(2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i blue1 = _mm_setr_epi8(-1, -1, -1, -1, -1, 1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1);
  const __m128i blue2 = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15);
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const auto* from = reinterpret_cast<const __m128i*>(pixels + kChannels * i);
    const __m128i first = _mm_loadu_si128(from);
    const __m128i second = _mm_loadu_si128(from + 1);
    const __m128i third = _mm_loadu_si128(from + 2);
    const auto join = [&](__m128i of_first, __m128i of_second,
                          __m128i of_third) __attribute__((target("ssse3"))) {
      return _mm_or_si128(
          _mm_or_si128(_mm_shuffle_epi8(first, of_first), _mm_shuffle_epi8(second, of_second)),
          _mm_shuffle_epi8(third, of_third));
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(planes.red + i), join(red0, red1, red2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(planes.green + i), join(green0, green1, green2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(planes.blue + i), join(blue0, blue1, blue2));
  }
  split_one_by_one(pixels, i, count, planes);
}

void split(const std::uint8_t* pixels, std::int64_t count, const Planes& planes) {
  if (__builtin_cpu_supports("ssse3")) return split_by_vectors(pixels, count, planes);
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
  split(image.const_data_ptr<std::uint8_t>(), pixels, {to, to + pixels, to + 2 * pixels});
}

}  // namespace lctl
