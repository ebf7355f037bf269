#include "worker/trainer/data/webdataset/sample_maker.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/member_name.h"

namespace lctl::webdataset {
namespace {

// What webdataset keeps in each sample beside its files.
constexpr std::string_view kKey = "__key__";
constexpr std::string_view kUrl = "__url__";

constexpr std::size_t kMostKept = std::size_t{16} << 20;

void read_field(const ReadOnlyFile& file, const SampleField& field, std::byte* to) {
  if (file.read_at(field.offset, {to, field.size}) == field.size) return;
  throw BadSample(
      fmt::format("{}: its {} bytes at byte {} are not there any more; the shard has become "
                  "shorter since it was opened",
                  field.extension, field.size, field.offset));
}

// A thread keeps its memory for the next field, unless that is large.
template <typename Use>
void with_bytes_of(const SampleField& field, const ReadOnlyFile& file, const Use& use) {
  static thread_local std::vector<std::byte> kept;
  std::vector<std::byte> bytes = std::exchange(kept, {});
  if (bytes.size() < field.size) bytes.resize(field.size);
  read_field(file, field, bytes.data());
  use(std::span<const std::byte>(bytes.data(), field.size));
  if (bytes.size() <= kMostKept) kept = std::move(bytes);
}

std::vector<std::string> alternatives_of(const std::string& column) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start <= column.size()) {
    const std::size_t end = std::min(column.find(';', start), column.size());
    std::string part = column.substr(start, end - start);
    // A dot in front is the name's, not the extension's.
    if (part.starts_with('.')) part.erase(0, 1);
    std::transform(part.begin(), part.end(), part.begin(), [](char letter) {
      return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
    if (part.empty() || part.find_first_of(" /") != std::string::npos) {
      throw MisconfigurationException(fmt::format(
          "columns: '{}' is no extension, or several with ; between them, such as 'jpg;jpeg;png'",
          column));
    }
    parts.push_back(std::move(part));
    start = end + 1;
  }
  return parts;
}

}  // namespace

SampleMaker::SampleMaker(std::shared_ptr<OpenShards> shards,
                         const std::vector<std::string>& columns, const FieldDecoders& decoders,
                         const FieldPutters& putters, std::vector<FieldTransform> transforms)
    : shards_(std::move(shards)) {
  if (columns.empty())
    throw MisconfigurationException("columns: name what a sample consists of, such as [jpg, cls]");
  if (transforms.size() > columns.size()) {
    throw MisconfigurationException(
        fmt::format("{} transforms for {} columns", transforms.size(), columns.size()));
  }
  transforms.resize(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    Column& column = columns_.emplace_back();
    column.text = columns[i];
    column.transform = std::move(transforms[i]);
    for (std::string& extension : alternatives_of(columns[i])) {
      const bool stored = extension != kKey && extension != kUrl;
      FieldDecoder decoder = stored ? decoder_of(extension, decoders) : FieldDecoder();
      FieldPutter putter;
      if (const auto found = putters.find(extension); found != putters.end() && !column.transform)
        putter = found->second;
      if (putter) has_putters_ = true;
      column.alternatives.push_back({std::move(extension), std::move(decoder), std::move(putter)});
    }
  }
}

Batch SampleMaker::make(std::size_t shard, const ShardSample& sample, RandomStream& random) const {
  return Batch(values_of(*file_of(shard, sample), shard, sample, random, nullptr));
}

void SampleMaker::put(std::size_t shard, const ShardSample& sample, RandomStream& random,
                      BatchBuilder& batch, std::size_t row) const {
  const std::shared_ptr<const ReadOnlyFile> file = file_of(shard, sample);
  Later later;
  Batch::List values = values_of(*file, shard, sample, random, &later);
  if (later.found.field == nullptr) return batch.put(row, std::move(values));
  const SampleField& field = *later.found.field;
  with_bytes_of(field, *file, [&](std::span<const std::byte> bytes) {
    later.found.alternative->put(batch, row, std::move(values), later.place, bytes,
                                 field.extension);
  });
}

std::shared_ptr<const ReadOnlyFile> SampleMaker::file_of(std::size_t shard,
                                                         const ShardSample& sample) const {
  if (!sample.fault.empty()) throw BadSample(sample.fault);
  return shards_->open(shard);
}

Batch::List SampleMaker::values_of(const ReadOnlyFile& file, std::size_t shard,
                                   const ShardSample& sample, RandomStream& random,
                                   Later* later) const {
  Batch::List values;
  values.reserve(columns_.size());
  for (const Column& column : columns_) {
    const Found found = find(column, sample);
    if (later != nullptr && later->found.field == nullptr && found.field != nullptr &&
        found.alternative->put) {
      *later = {found, values.size()};
      values.emplace_back();
      continue;
    }
    Batch value = value_of(found, file, shard, sample);
    if (column.transform) value = column.transform(std::move(value), random);
    values.push_back(std::move(value));
  }
  return values;
}

std::string SampleMaker::name_of(std::size_t shard, const ShardSample& sample) const {
  return fmt::format("{}: {}", shards_->name(shard), shown(sample.key));
}

// The first alternative that is there, as webdataset's to_tuple.
SampleMaker::Found SampleMaker::find(const Column& column, const ShardSample& sample) {
  for (const Alternative& alternative : column.alternatives) {
    if (alternative.extension == kKey || alternative.extension == kUrl)
      return {&alternative, nullptr};
    for (const SampleField& field : sample.fields) {
      if (field.extension == alternative.extension) return {&alternative, &field};
    }
  }
  refuse_missing(column, sample);
}

Batch SampleMaker::value_of(const Found& found, const ReadOnlyFile& file, std::size_t shard,
                            const ShardSample& sample) const {
  if (found.field != nullptr) return decode(*found.alternative, file, *found.field);
  return found.alternative->extension == kKey ? Batch(sample.key) : Batch(shards_->name(shard));
}

Batch SampleMaker::decode(const Alternative& alternative, const ReadOnlyFile& file,
                          const SampleField& field) {
  // The field lay inside the file when its header was read: no size from outside is trusted.
  if (!alternative.decode) {
    at::Tensor tensor = at::empty({static_cast<std::int64_t>(field.size)}, at::kByte);
    read_field(file, field, static_cast<std::byte*>(tensor.mutable_data_ptr()));
    return Batch(std::move(tensor));
  }
  Batch value;
  with_bytes_of(field, file, [&](std::span<const std::byte> bytes) {
    value = alternative.decode(bytes, field.extension);
  });
  return value;
}

void SampleMaker::refuse_missing(const Column& column, const ShardSample& sample) {
  constexpr std::size_t kMostShown = 20;
  std::string there;
  for (std::size_t i = 0; i < std::min(sample.fields.size(), kMostShown); ++i)
    there += fmt::format("{}{}", i == 0 ? "" : ", ", shown(sample.fields[i].extension));
  if (sample.fields.size() > kMostShown) there += ", ...";
  throw BadSample(
      fmt::format("has no '{}', only: {}{}{}", column.text, there,
                  sample.cut.empty() ? "" : "; the shard cannot be read behind it: ", sample.cut));
}

}  // namespace lctl::webdataset
