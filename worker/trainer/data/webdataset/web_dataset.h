// Streams samples from tar files, as Python's webdataset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/iterable_dataset.h"
#include "worker/trainer/data/webdataset/field_decoder.h"
#include "worker/trainer/data/webdataset/open_shards.h"
#include "worker/trainer/data/webdataset/sample_maker.h"
#include "worker/trainer/data/webdataset/sample_prefetcher.h"

namespace lctl {

struct WebDatasetOptions {
  // Files or URLs, with braces ("train-{000000..000123}.tar"), or folders of *.tar.
  std::vector<std::string> shards;

  // What a sample is a list of: extensions, alternatives with ; between them, the first that is
  // there counts ("jpg;jpeg;png", "cls"). "__key__" and "__url__" are texts.
  std::vector<std::string> columns;

  // webdataset's shuffle(shuffle_buffer, initial=shuffle_initial); 0 = the shards' own order.
  std::int64_t shuffle_buffer = 0;
  std::int64_t shuffle_initial = 100;

  bool shard_shuffle = false;  // this rank's shards come in another order in each pass

  // webdataset's with_epoch: a pass of each rank has so many samples; the shards start over when
  // they run out, shuffled anew. Without it a pass is what the rank's shards hold.
  std::optional<std::int64_t> samples_per_pass;

  webdataset::EmptyShards empty_shards = webdataset::EmptyShards::kError;

  FieldDecoders decoders;                  // beside and before the usual ones (decoder_of)
  FieldPutters putters;                    // instead of them, in columns without a transform
  std::vector<FieldTransform> transforms;  // webdataset's map_tuple: one per column, or empty
  webdataset::ResolveUrl resolve;          // needed for URLs
};

// A rank reads every world_size-th shard of the list, the same in all passes. Order and contents
// of a pass depend on its seed and the rank alone, not on the number of loader threads: they read
// and decode, the stream only finds where samples lie. So skipping is cheap, and a stream of the
// same pass that has skipped n samples goes on as one that has made them.
//
// A shard that is damaged or truncated, or has no sample, is a BadSample of next(), behind the
// samples before the damage; the next call goes on with the next shard. With a shuffle buffer, that
// comes when the buffer takes the place in, before some samples that precede it.
//
// Thread rule: immutable; size() is internally locked.
class WebDataset final : public IterableDataset {
 public:
  // Throws MisconfigurationException: a wrong option, a missing file (all are looked for), a URL
  // without `resolve`.
  explicit WebDataset(WebDatasetOptions options);
  ~WebDataset() override;

  // Throws MisconfigurationException for fewer shards than ranks.
  std::unique_ptr<SampleStream> iterate(const StreamPass& pass) const override;

  // samples_per_pass, or counted: the headers of the rank's shards are read once, by several
  // threads; damaged shards count with what comes before the damage. Nobody knows where shards have
  // to be fetched. Throws std::runtime_error for a file that cannot be read.
  std::optional<std::int64_t> size(int rank, int world_size) const override;

  bool shuffles() const override { return options_.shuffle_buffer > 0 || options_.shard_shuffle; }

  // Paths and URLs, in the order in which ranks take turns.
  const std::vector<std::string>& shards() const { return names_; }

 private:
  class Stream;

  WebDatasetOptions options_;
  std::vector<std::string> names_;
  std::shared_ptr<webdataset::OpenShards> shards_;
  std::shared_ptr<const webdataset::SampleMaker> maker_;
  mutable std::mutex counts_mutex_;
  mutable std::vector<std::int64_t> counts_;  // of each shard, -1 = not counted; guarded by it
};

}  // namespace lctl
