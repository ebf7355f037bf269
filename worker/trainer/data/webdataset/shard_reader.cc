#include "worker/trainer/data/webdataset/shard_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "worker/trainer/data/webdataset/member_name.h"

namespace lctl::webdataset {
namespace {

// Nobody has more; a shard whose members all have one key would make one endless sample.
constexpr std::size_t kMostFields = 1024;

// webdataset keeps these in the sample itself.
bool is_taken(const std::string& extension) {
  return extension == "__key__" || extension == "__url__";
}

}  // namespace

std::optional<ShardSample> SampleGrouper::add(TarMember member) {
  if (is_meta_name(member.name)) return std::nullopt;
  std::optional<MemberName> name = split_member_name(member.name);
  if (!name.has_value()) return std::nullopt;
  std::optional<ShardSample> before;
  if (!current_.has_value() || current_->key != name->key) {
    before = std::exchange(current_, ShardSample{std::move(name->key), {}, {}, {}});
  }
  std::vector<SampleField>& fields = current_->fields;
  const bool twice = is_taken(name->extension) ||
                     std::any_of(fields.begin(), fields.end(), [&](const SampleField& field) {
                       return field.extension == name->extension;
                     });
  if (twice) {
    current_->fault = fmt::format("'{}' comes twice; files of one sample need different extensions",
                                  shown(member.name));
  } else if (fields.size() >= kMostFields) {
    current_->fault = fmt::format(
        "more than {} files have this key; the key is the name up to the first dot", kMostFields);
    return before;
  }
  // A duplicate is kept as well: a sample has at least one field.
  if (!twice || fields.empty())
    fields.push_back({std::move(name->extension), member.offset, member.size});
  return before;
}

std::optional<ShardSample> SampleGrouper::finish() { return std::exchange(current_, std::nullopt); }

ShardReader::ShardReader(std::shared_ptr<const ReadOnlyFile> file, std::string name)
    : members_(std::move(file), std::move(name)) {}

std::optional<ShardSample> ShardReader::next() {
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  while (!done_) {
    std::optional<TarMember> member;
    try {
      member = members_.next();
    } catch (const std::exception& error) {
      return end_with(std::current_exception(), error.what());
    }
    if (!member.has_value()) {
      done_ = true;
      return grouper_.finish();
    }
    if (std::optional<ShardSample> sample = grouper_.add(std::move(*member))) return sample;
  }
  return std::nullopt;
}

std::optional<ShardSample> ShardReader::end_with(std::exception_ptr error, const std::string& why) {
  done_ = true;
  std::optional<ShardSample> last = grouper_.finish();
  if (!last.has_value()) std::rethrow_exception(std::move(error));
  last->cut = why;
  error_ = std::move(error);
  return last;
}

}  // namespace lctl::webdataset
