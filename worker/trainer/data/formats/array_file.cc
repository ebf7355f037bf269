#include "worker/trainer/data/formats/array_file.h"

#include <fmt/format.h>

#include "jobspec/edit_distance.h"
#include "worker/trainer/data/bad_sample.h"

namespace lctl {
namespace {

constexpr std::size_t kNamesSaid = 12;
constexpr std::size_t kCharactersSaid = 200;  // of each

}  // namespace

void throw_no_such_array(const std::string& file, std::string_view name,
                         const std::vector<std::string>& names) {
  std::string there;
  for (std::size_t i = 0; i < names.size() && i < kNamesSaid; ++i)
    there += fmt::format("{}`{}`", i == 0 ? "" : ", ", names[i].substr(0, kCharactersSaid));
  if (names.size() > kNamesSaid) there += fmt::format(" and {} more", names.size() - kNamesSaid);
  if (name.empty() && !names.empty()) {
    throw BadSample(
        fmt::format("{}: which array is meant has to be said: there are {}", file, there));
  }
  const std::string meant =
      jobspec::nearest_name(name, std::vector<std::string_view>(names.begin(), names.end()));
  throw BadSample(
      fmt::format("{}: there is no array `{}`{}; {}", file, name.substr(0, kCharactersSaid),
                  meant.empty() ? "" : fmt::format("; did you mean `{}`?", meant),
                  names.empty() ? "the file has none" : fmt::format("there are {}", there)));
}

}  // namespace lctl
