// All ranks of a run save or stop after the same batch, at no cost to a step while nobody asks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

namespace lctl {

enum class BoundaryAction : std::uint8_t { kCheckpoint = 1, kStop = 2 };

// A boundary is a moment between two batches at which all gradients have been averaged, numbered by
// the batches that stepped so far; every rank passes the same boundaries. Thread rule: one strand
// only (the training thread); an implementation's own threads are its business.
class BoundaryAgreement {
 public:
  virtual ~BoundaryAgreement() = default;

  // Any rank may ask; repeated requests while one is under way are one.
  virtual void request(BoundaryAction action) = 0;

  // At each boundary: what all ranks do now, at this very boundary.
  virtual std::optional<BoundaryAction> poll(std::int64_t boundary) = 0;
};

// One rank: a request is served at the next poll.
std::unique_ptr<BoundaryAgreement> make_immediate_agreement();

}  // namespace lctl
