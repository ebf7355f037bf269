// Builds a Value from yaml-cpp's parse events. Used by yaml_reader.cc alone.
#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "jobspec/error.h"
#include "jobspec/value.h"
#include "jobspec/yaml_reader.h"

namespace lctl::jobspec {

// Thrown out of a parse that cannot go on: a bound is exceeded.
class LimitExceeded : public std::runtime_error {
 public:
  LimitExceeded(const std::string& what, Location where,
                std::string advice = "expected a smaller job file")
      : std::runtime_error(what), where_(std::move(where)), advice_(std::move(advice)) {}
  const Location& where() const { return where_; }
  const std::string& advice() const { return advice_; }

 private:
  Location where_;
  std::string advice_;
};

// Findings go to `findings`; LimitExceeded ends the parse. Thread rule: one strand only.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const std::string> source, bool has_lines, Findings& findings,
              const ReadLimits& limits);

  // The document's value; null for an empty one.
  Value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override;
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override;

 private:
  struct Cost {
    std::size_t nodes = 1;
    std::size_t bytes = 0;
    int depth = 0;
  };
  struct Anchored {
    Value value;
    Cost cost;
  };
  // A list or map that is not complete.
  struct Open {
    Value value;
    YAML::anchor_t anchor = 0;
    Cost cost;
    bool key_is_next = false;                    // maps: what comes is a key
    Value::Entry entry;                          // maps: the entry whose value is awaited
    std::unordered_map<std::string, int> lines;  // maps: the keys so far, with their lines
    std::vector<Value> merged;                   // maps: values of `<<`
    bool merge_is_next = false;                  // maps: what comes is the value of `<<`
  };

  Location at(const YAML::Mark& mark) const;
  std::string path() const;
  void spend(const Cost& cost, const Location& where);
  void check_tag(const std::string& tag, const Location& where);
  void open(Value value, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor);
  void close();
  // A complete node, wherever it belongs.
  void place(Value value, const Cost& cost, YAML::anchor_t anchor);
  void place_key(const std::string& text, bool plain, const Location& where);
  // True when a key is awaited; the finding "must be plain text" is made here.
  bool refuse_as_key(const Location& where);
  void merge(Open& map);

  std::shared_ptr<const std::string> source_;
  bool has_lines_;
  Findings& findings_;
  const ReadLimits& limits_;
  Value root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
  int documents_ = 0;
};

}  // namespace lctl::jobspec
