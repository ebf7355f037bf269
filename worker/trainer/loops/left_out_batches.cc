#include "worker/trainer/loops/left_out_batches.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lctl {
namespace {

constexpr char kVariable[] = "LCTL_SKIP_BATCHES";

// "0:12,0:13"
std::vector<BatchPlace> read_places(std::string_view text) {
  std::vector<BatchPlace> places;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    BatchPlace place;
    auto read = std::from_chars(at, end, place.epoch);
    bool right = read.ec == std::errc() && read.ptr != end && *read.ptr == ':';
    if (right) read = std::from_chars(read.ptr + 1, end, place.batch);
    right = right && read.ec == std::errc() && place.epoch >= 0 && place.batch >= 0 &&
            (read.ptr == end || (*read.ptr == ',' && read.ptr + 1 != end));
    if (!right) {
      throw std::invalid_argument("environment variable " + std::string(kVariable) + "=" +
                                  std::string(text) +
                                  ": expected <epoch>:<batch>,<epoch>:<batch>,…");
    }
    places.push_back(place);
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return places;
}

}  // namespace

const std::vector<BatchPlace>& left_out_batches() {
  static const std::vector<BatchPlace> places = [] {
    const char* text = std::getenv(kVariable);
    return read_places(text == nullptr ? "" : text);
  }();
  return places;
}

bool is_left_out(std::int64_t epoch, std::int64_t batch_idx, std::int64_t accumulated) {
  const std::vector<BatchPlace>& places = left_out_batches();
  return std::any_of(places.begin(), places.end(), [&](const BatchPlace& place) {
    return place.epoch == epoch && place.batch / accumulated == batch_idx / accumulated;
  });
}

}  // namespace lctl
