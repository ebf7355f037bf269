#include "worker/trainer/data/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/safetensors_header.h"

namespace lctl {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's

struct Dtype {
  std::string_view name;
  at::ScalarType type;
};

constexpr std::array kDtypes = {
    Dtype{"BOOL", at::kBool},
    Dtype{"U8", at::kByte},
    Dtype{"I8", at::kChar},
    Dtype{"U16", at::kUInt16},
    Dtype{"I16", at::kShort},
    Dtype{"F16", at::kHalf},
    Dtype{"BF16", at::kBFloat16},
    Dtype{"U32", at::kUInt32},
    Dtype{"I32", at::kInt},
    Dtype{"F32", at::kFloat},
    Dtype{"U64", at::kUInt64},
    Dtype{"I64", at::kLong},
    Dtype{"F64", at::kDouble},
    Dtype{"C64", at::kComplexFloat},
    Dtype{"F8_E4M3", at::kFloat8_e4m3fn},
    Dtype{"F8_E5M2", at::kFloat8_e5m2},
    Dtype{"F8_E8M0", at::kFloat8_e8m0fnu},
    Dtype{"F8_E4M3FNUZ", at::kFloat8_e4m3fnuz},
    Dtype{"F8_E5M2FNUZ", at::kFloat8_e5m2fnuz},
};

std::optional<at::ScalarType> dtype_of(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return dtype.type;
  }
  return std::nullopt;
}

}  // namespace

SafetensorsFile::SafetensorsFile(SharedBytes file) : file_(std::move(file)) {
  const auto fail = [&](const std::string& why) {
    throw BadSample(fmt::format("{}: {}", file_.name(), why));
  };
  std::uint64_t header_size = 0;
  if (file_.size() < sizeof(header_size)) {
    fail(fmt::format("is no .safetensors file: {} bytes, where the header's length alone has 8",
                     file_.size()));
  }
  std::memcpy(&header_size, file_.data(), sizeof(header_size));
  if (header_size > kMaxHeader) {
    fail(fmt::format("is no .safetensors file: its header would have {} bytes, more than {}",
                     header_size, kMaxHeader));
  }
  const std::uint64_t data = sizeof(header_size) + header_size;
  if (data > file_.size()) {
    fail(fmt::format("is cut off in its header: {} bytes of {}", file_.size(), data));
  }
  SafetensorsHeader header =
      parse_safetensors_header(file_.view().substr(sizeof(header_size), header_size), file_.name());
  metadata_ = std::move(header.metadata);
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const auto& a, const auto& b) { return a.offsets < b.offsets; });
  std::uint64_t end = 0;  // of the tensors so far; where the next has to begin
  for (SafetensorsHeader::Entry& given : header.entries) {
    const std::string name = fmt::format("tensor {:?}", given.name.substr(0, 200));
    if (given.offsets[0] != end || given.offsets[1] < end) {
      fail(
          fmt::format("{} lies from byte {} to {} of the data, but the one before ends at {}: "
                      "tensors may not overlap nor leave holes",
                      name, given.offsets[0], given.offsets[1], end));
    }
    end = given.offsets[1];
    if (end > file_.size() - data) {
      fail(fmt::format("{} ends at byte {} of the data, of which there are {}: the file is cut off",
                       name, end, file_.size() - data));
    }
    const std::optional<at::ScalarType> dtype = dtype_of(given.dtype);
    if (!dtype.has_value())
      fail(fmt::format("{}: torch has no dtype {:?}", name, given.dtype.substr(0, 40)));
    ArrayLayout layout{.dtype = *dtype, .shape = std::move(given.shape)};
    const std::uint64_t size = end - given.offsets[0];
    if (byte_count(layout) != size) {
      fail(fmt::format("{}: {} bytes are no {}", name, size, layout_text(layout)));
    }
    by_name_.emplace(given.name, entries_.size());
    entries_.push_back({std::move(given.name), std::move(layout), data + given.offsets[0], size});
  }
  if (end != file_.size() - data) {
    fail(fmt::format("{} bytes follow the last tensor", file_.size() - data - end));
  }
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return names;
}

at::Tensor SafetensorsFile::get(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  if (found == by_name_.end()) throw_no_such_array(file_.name(), name, names());
  const Entry& entry = entries_[found->second];
  return tensor_over(file_.part(entry.offset, entry.size,
                                fmt::format("{}: {}", file_.name(), entry.name.substr(0, 200))),
                     entry.layout);
}

}  // namespace lctl
