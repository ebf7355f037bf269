#include "worker/trainer/data/formats/npz.h"

#include <utility>

#include "worker/trainer/data/formats/npy.h"

namespace lctl {
namespace {

constexpr std::string_view kSuffix = ".npy";

}  // namespace

NpzFile::NpzFile(SharedBytes file) : archive_(std::move(file)) {
  for (std::size_t i = 0; i < archive_.members().size(); ++i) {
    const std::string& member = archive_.members()[i].name;
    if (!member.ends_with(kSuffix)) continue;
    names_.push_back(member.substr(0, member.size() - kSuffix.size()));
    members_.emplace(names_.back(), i);
  }
}

std::vector<std::string> NpzFile::names() const { return names_; }

at::Tensor NpzFile::get(std::string_view name) const {
  auto found = members_.find(std::string(name));
  // NumPy takes the member's full name, too.
  if (found == members_.end() && name.ends_with(kSuffix))
    found = members_.find(std::string(name.substr(0, name.size() - kSuffix.size())));
  if (found == members_.end()) throw_no_such_array(archive_.name(), name, names_);
  return read_npy(archive_.read(archive_.members()[found->second]));
}

}  // namespace lctl
