#include "storage/search/parameters.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>
#include <utility>

namespace lctl::storage {
namespace {

// Maps and lists in each other; deeper ones are passed over.
constexpr std::size_t kMaxDepth = 64;
// How yaml-cpp marks scalars without quotes and without a tag of their own.
constexpr std::string_view kPlainTag = "?";

std::optional<double> number_of(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// Collects scalars as the parser meets them; keeps no tree, so aliases cost nothing.
class Flattening final : public YAML::EventHandler {
 public:
  explicit Flattening(std::string_view skipped_section) : skipped_section_(skipped_section) {}

  std::vector<Parameter> finish() {
    std::vector<Parameter> all;
    for (auto& [key, parameter] : found_) all.push_back(std::move(parameter));
    return all;
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override { scalar("null", std::nullopt); }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { passed_over(); }
  void OnScalar(const YAML::Mark&, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    scalar(value, tag == kPlainTag ? number_of(value) : std::nullopt);
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    begin(/*map=*/false);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    begin(/*map=*/true);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Level {
    bool map = false;
    bool key_next = false;    // of a map
    std::string key;          // of a map: the one whose value comes
    std::size_t place = 0;    // of a list
    bool searchable = false;  // false: nothing below has a usable key
    std::string prefix;       // key of the map or list itself, with its point
  };

  bool key_expected() const { return !levels_.empty() && levels_.back().key_next; }

  // The key of the value that begins now; empty = it has none.
  std::optional<std::string> next_key() const {
    if (levels_.empty()) return std::nullopt;
    const Level& level = levels_.back();
    if (!level.searchable) return std::nullopt;
    if (!level.map) return level.prefix + std::to_string(level.place);
    if (level.key.empty() || (levels_.size() == 1 && level.key == skipped_section_)) {
      return std::nullopt;
    }
    return level.prefix + level.key;
  }

  // A value has come to its end.
  void value_done() {
    if (levels_.empty()) return;
    Level& level = levels_.back();
    level.key_next = level.map;
    level.key.clear();
    ++level.place;
  }

  // A key or value that is not kept.
  void passed_over() {
    if (key_expected()) {
      levels_.back().key_next = false;
    } else {
      value_done();
    }
  }

  void scalar(const std::string& text, std::optional<double> number) {
    if (key_expected()) {
      levels_.back().key = text;
      levels_.back().key_next = false;
      return;
    }
    if (std::optional<std::string> key = next_key(); key && may_keep(*key, text)) {
      Parameter parameter{.key = *key, .text = text, .number = number};
      found_.insert_or_assign(*std::move(key), std::move(parameter));
    }
    value_done();
  }

  bool may_keep(const std::string& key, const std::string& text) const {
    return key.size() <= kMaxParameterKeyBytes && text.size() <= kMaxParameterTextBytes &&
           (found_.size() < kMaxParameters || found_.contains(key));
  }

  void begin(bool map) {
    Level level{.map = map, .key_next = map, .key = {}, .prefix = {}};
    if (levels_.empty()) {
      level.searchable = true;
    } else if (!key_expected() && levels_.size() < kMaxDepth) {
      const std::optional<std::string> key = next_key();
      level.searchable = key.has_value() && key->size() < kMaxParameterKeyBytes;
      if (level.searchable) level.prefix = *key + ".";
    }
    levels_.push_back(std::move(level));
  }

  void end() {
    levels_.pop_back();
    passed_over();
  }

  const std::string_view skipped_section_;
  std::vector<Level> levels_;
  std::map<std::string, Parameter> found_;
};

std::vector<Parameter> flatten(std::string_view yaml, std::string_view skipped_section) {
  Flattening flattening(skipped_section);
  if (yaml.size() > kMaxParameterYamlBytes) return {};
  try {
    std::istringstream stream{std::string(yaml)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(flattening);
  } catch (const YAML::Exception&) {
    // What came before the mistake is kept.
  }
  return flattening.finish();
}

}  // namespace

std::vector<Parameter> flatten_yaml(std::string_view yaml) { return flatten(yaml, ""); }

std::vector<Parameter> flatten_config(std::string_view config_yaml) {
  return flatten(config_yaml, "job");
}

Parameter plain_parameter(std::string key, std::string text) {
  const std::optional<double> number = number_of(text);
  return {.key = std::move(key), .text = std::move(text), .number = number};
}

}  // namespace lctl::storage
