#include "worker/trainer/data/formats/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "worker/trainer/data/bad_sample.h"

namespace lctl {
namespace {

// More dimensions than any tensor has; the exact limit is checked with the rest of the shape.
constexpr std::size_t kMaxNumbers = 1024;

// Takes nlohmann's events. The document has one form only:
//   {"__metadata__": {key: text}, name: {"dtype": text, "shape": [n…], "data_offsets": [n, n]}}
class HeaderEvents final : public nlohmann::json::json_sax_t {
 public:
  HeaderEvents(SafetensorsHeader& header, const std::string& file) : header_(header), file_(file) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool /*value*/) override { return unexpected("true or false"); }
  bool number_integer(std::int64_t /*value*/) override { return unexpected("a negative number"); }
  bool number_float(double /*value*/, const std::string& text) override {
    return unexpected(text.substr(0, 40));
  }
  bool binary(binary_t& /*value*/) override { return unexpected("binary data"); }

  bool number_unsigned(std::uint64_t value) override {
    if (!in_numbers_) return unexpected("a number");
    if (numbers_.size() == kMaxNumbers) fail("a list of more than 1024 numbers");
    numbers_.push_back(value);
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata.emplace_back(key_, value);
    } else if (place_ == Place::kEntry && key_ == "dtype") {
      header_.entries.back().dtype = value;
    } else {
      return unexpected("a text");
    }
    return true;
  }

  bool start_object(std::size_t /*size*/) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = key_ == "__metadata__" ? Place::kMetadata : Place::kEntry;
      if (place_ == Place::kEntry) header_.entries.push_back({.name = key_});
    } else {
      return unexpected("an object");
    }
    keys_.clear();
    return true;
  }

  bool key(std::string& key) override {
    std::unordered_set<std::string>& seen = place_ == Place::kTop ? names_ : keys_;
    if (!seen.insert(key).second) fail(fmt::format("the key {:?} is there twice", brief(key)));
    key_ = key;
    if (place_ == Place::kEntry && key != "dtype" && key != "shape" && key != "data_offsets")
      fail(fmt::format("tensor {:?} has an unknown key, {:?}", entry(), brief(key)));
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kEntry && keys_.size() != 3) {
      fail(fmt::format("tensor {:?} lacks one of dtype, shape and data_offsets", entry()));
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool start_array(std::size_t /*size*/) override {
    if (place_ != Place::kEntry || in_numbers_ || key_ == "dtype") return unexpected("a list");
    in_numbers_ = true;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    in_numbers_ = false;
    SafetensorsHeader::Entry& entry = header_.entries.back();
    if (key_ == "data_offsets") {
      if (numbers_.size() != 2)
        fail(fmt::format("data_offsets of {:?} are not two", brief(entry.name)));
      entry.offsets = {numbers_[0], numbers_[1]};
      return true;
    }
    for (const std::uint64_t size : numbers_) {
      if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail(fmt::format("tensor {:?} has a dimension of {}", brief(entry.name), size));
      entry.shape.push_back(static_cast<std::int64_t>(size));
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    fail(fmt::format("no JSON at its byte {}", position));
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kEntry };

  static std::string brief(const std::string& text) { return text.substr(0, 200); }
  std::string entry() const { return brief(header_.entries.back().name); }

  [[noreturn]] void fail(const std::string& why) const {
    throw BadSample(fmt::format("{}: the header is not safetensors': {}", file_, why));
  }

  bool unexpected(const std::string& what) const {
    fail(place_ == Place::kOutside
             ? fmt::format("{} where an object is expected", what)
             : fmt::format("{} is unexpected as the value of {:?}", what, brief(key_)));
  }

  SafetensorsHeader& header_;
  const std::string& file_;
  Place place_ = Place::kOutside;
  std::string key_;
  std::unordered_set<std::string> names_;  // at the top
  std::unordered_set<std::string> keys_;   // of the object that is being read
  bool in_numbers_ = false;
  std::vector<std::uint64_t> numbers_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& file) {
  SafetensorsHeader header;
  HeaderEvents events(header, file);
  nlohmann::json::sax_parse(json.begin(), json.end(), &events);
  return header;
}

}  // namespace lctl
