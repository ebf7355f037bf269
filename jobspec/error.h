// What is wrong with a job file: every finding at once, each with file, line and key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// One finding. Thread rule: immutable once made.
struct SpecError {
  std::string file;  // "digits.yaml", or the override "--trainer.max_epochs=three"
  int line = 0;      // from 1; 0 = no line (override, or a missing key of the whole file)
  int column = 0;    // from 1; 0 = unknown
  std::string
      key;  // "data.init_args.batch_sise", list elements as "trainer.callbacks.0"; "" = the file
  std::string problem;     // "unknown key", "expected int, got str `three`"
  std::string expected;    // "known keys: path, label, …", "an int >= 1"; may be ""
  std::string suggestion;  // the nearest valid name; "" = none is near

  // "digits.yaml:12: data.init_args.batch_sise: unknown key; did you mean `batch_size`? known keys:
  // …"
  std::string text() const;

  friend bool operator==(const SpecError&, const SpecError&) = default;
};

// Collects findings in the order in which they are found. Thread rule: caller locks.
class Findings {
 public:
  static constexpr std::size_t kLimit = 50;  // more are counted, not kept

  void add(SpecError error);
  void add(const Location& where, std::string_view key, std::string problem,
           std::string expected = {}, std::string suggestion = {});

  bool empty() const { return errors_.empty(); }
  bool is_full() const { return errors_.size() >= kLimit; }
  const std::vector<SpecError>& errors() const { return errors_; }
  std::size_t dropped() const { return dropped_; }

  // OK when empty; else InvalidArgument with the texts sorted by line, joined by newlines.
  absl::Status status() const;

 private:
  std::vector<SpecError> errors_;
  std::size_t dropped_ = 0;
};

// "trainer" + "callbacks" = "trainer.callbacks"; an empty parent gives the name alone.
std::string join_key(std::string_view parent, std::string_view name);
std::string join_key(std::string_view parent, std::size_t index);

}  // namespace lctl::jobspec
