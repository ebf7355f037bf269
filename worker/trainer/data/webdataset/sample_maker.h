// From a reference to a sample to the sample: read, decode, transform.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/random_stream.h"
#include "worker/trainer/data/webdataset/field_decoder.h"
#include "worker/trainer/data/webdataset/open_shards.h"
#include "worker/trainer/data/webdataset/shard_reader.h"

namespace lctl {

// Changes a decoded column, augmentation for instance: what is random comes from `random`. Called
// by several threads at once.
using FieldTransform = std::function<Batch(Batch value, RandomStream& random)>;

namespace webdataset {

// Thread rule: immutable; any thread may make samples.
class SampleMaker {
 public:
  // Columns and transforms as in WebDatasetOptions. Throws MisconfigurationException.
  SampleMaker(std::shared_ptr<OpenShards> shards, const std::vector<std::string>& columns,
              const FieldDecoders& decoders, const FieldPutters& putters,
              std::vector<FieldTransform> transforms);

  // A list of the columns' values. Throws BadSample for a missing column, for data that cannot be
  // decoded, and for a shard that has become shorter; std::runtime_error for one that cannot be
  // read. Messages leave the sample's name (name_of) to the caller.
  Batch make(std::size_t shard, const ShardSample& sample, RandomStream& random) const;

  // make() and batch.put(), but a column that has a putter is decoded straight into the batch.
  void put(std::size_t shard, const ShardSample& sample, RandomStream& random, BatchBuilder& batch,
           std::size_t row) const;
  bool has_putters() const { return has_putters_; }

  // "train-000001.tar: 000017"
  std::string name_of(std::size_t shard, const ShardSample& sample) const;

 private:
  struct Alternative {
    std::string extension;
    FieldDecoder decode;  // empty: the bytes
    FieldPutter put;      // may be empty
  };
  struct Column {
    std::string text;  // as it was given
    std::vector<Alternative> alternatives;
    FieldTransform transform;  // may be empty
  };

  // What a column is in one sample; without a field its key or shard.
  struct Found {
    const Alternative* alternative = nullptr;
    const SampleField* field = nullptr;
  };

  // A column that is decoded when all others are known, into their list's place.
  struct Later {
    Found found;
    std::size_t place = 0;
  };

  // Of all columns; with `later` the first one that has a putter is left to the caller.
  Batch::List values_of(const ReadOnlyFile& file, std::size_t shard, const ShardSample& sample,
                        RandomStream& random, Later* later) const;
  std::shared_ptr<const ReadOnlyFile> file_of(std::size_t shard, const ShardSample& sample) const;
  static Found find(const Column& column, const ShardSample& sample);
  Batch value_of(const Found& found, const ReadOnlyFile& file, std::size_t shard,
                 const ShardSample& sample) const;
  static Batch decode(const Alternative& alternative, const ReadOnlyFile& file,
                      const SampleField& field);
  [[noreturn]] static void refuse_missing(const Column& column, const ShardSample& sample);

  std::shared_ptr<OpenShards> shards_;
  std::vector<Column> columns_;
  bool has_putters_ = false;
};

}  // namespace webdataset
}  // namespace lctl
