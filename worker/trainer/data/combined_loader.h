// Several loaders as one: Lightning's CombinedLoader.
//
//   std::shared_ptr<lctl::DataLoader> train_dataloader() override {
//     return std::make_shared<lctl::CombinedLoader>(
//         lctl::CombinedLoader::NamedParts{{"labelled", labelled}, {"unlabelled", unlabelled}});
//   }
//   // in training_step: batch["labelled"], batch["unlabelled"]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/data/data_loader.h"

namespace lctl {

// A batch is a list or a mapping of the parts' batches, or, in sequential mode, one part's batch.
// The trainer fits each part to the run (samplers, limits) before it trains. Every pass makes the
// parts' iterators in order, with the draws that torch makes. Thread rule: one strand only.
class CombinedLoader final : public DataLoader {
 public:
  enum class Mode : std::uint8_t {
    kMaxSizeCycle,  // as long as the longest; the others begin again
    kMinSize,       // as long as the shortest
    kMaxSize,       // as long as the longest; None in place of those that have ended
    kSequential,    // one after another; not for training
  };
  using Parts = std::vector<std::shared_ptr<DataLoader>>;
  using NamedParts = std::vector<std::pair<std::string, std::shared_ptr<DataLoader>>>;
  // By part; empty = until it ends.
  using Limits = std::vector<std::optional<std::int64_t>>;

  // Batches are lists / mappings. Throws std::invalid_argument when there is no part or a null one.
  explicit CombinedLoader(Parts parts, Mode mode = Mode::kMaxSizeCycle);
  explicit CombinedLoader(const NamedParts& parts, Mode mode = Mode::kMaxSizeCycle);

  Mode mode() const { return mode_; }
  const Parts& parts() const { return parts_; }

  // The same with other parts, one for each of these, and at most so many batches of each: as in
  // Lightning, the limits count for the length of a pass, and in sequential mode for each part.
  std::shared_ptr<CombinedLoader> with_parts(Parts parts, Limits limits) const;

  std::unique_ptr<BatchIterator> iterate() override;
  std::optional<std::int64_t> size() const override;
  std::optional<std::int64_t> dataset_length() const override;
  bool shuffles() const override;                 // one part does
  bool has_distributed_sampler() const override;  // all parts have
  std::shared_ptr<DataLoader> with_distributed_sampler(int world_size, int rank, bool shuffle,
                                                       std::uint64_t seed, bool pad) override;
  std::shared_ptr<DataLoader> with_sequential_sampler() override;
  std::shared_ptr<DataLoader> for_prediction() override;
  void set_epoch(std::int64_t epoch) override;

 private:
  std::vector<std::optional<std::int64_t>> lengths() const;

  Parts parts_;
  std::vector<std::string> names_;  // empty: batches are lists
  Mode mode_;
  Limits limits_;
};

}  // namespace lctl
