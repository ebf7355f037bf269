// Strong identifiers: swapping a NodeId and a JobId does not compile.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace lctl {

// A string that names one kind of thing. The text is opaque: compare, hash and print it, never
// parse it. Thread rule: immutable once shared.
template <typename Tag>
class StringId {
 public:
  StringId() = default;
  explicit StringId(std::string text) : text_(std::move(text)) {}

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }

  friend bool operator==(const StringId&, const StringId&) = default;
  friend auto operator<=>(const StringId&, const StringId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const StringId& id) { return out << id.text_; }

  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const StringId& id) {
    return Hash::combine(std::move(hash), id.text_);
  }

 private:
  std::string text_;
};

using JobId = StringId<struct JobIdTag>;    // 10 lower-case base32 characters, made by the server
using NodeId = StringId<struct NodeIdTag>;  // made once by a node, kept in its data folder
using CheckpointId =
    StringId<struct CheckpointIdTag>;  // made by the server when a checkpoint is committed

// One try at running a job: 1, 2, … The number is also the fencing number: the store refuses what
// comes from an attempt that has been replaced.
using AttemptNumber = std::int32_t;

// Names one attempt everywhere: in launches, events, uploads and reports.
struct AttemptId {
  JobId job;
  AttemptNumber number = 0;

  friend bool operator==(const AttemptId&, const AttemptId&) = default;
  friend auto operator<=>(const AttemptId&, const AttemptId&) = default;

  // "<job>.<number>", for messages and folder names.
  std::string str() const { return job.str() + "." + std::to_string(number); }

  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const AttemptId& id) {
    return Hash::combine(std::move(hash), id.job, id.number);
  }
};

// A new random identifier of `length` characters from a-z2-7 (five bits each). Drawn from the
// kernel's random source, so it never disturbs a training generator. Any thread.
std::string random_id(int length);

}  // namespace lctl

template <typename Tag>
struct std::hash<lctl::StringId<Tag>> {
  std::size_t operator()(const lctl::StringId<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};
