#include "worker/trainer/data/webdataset/field_decoder.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/inflate.h"
#include "worker/trainer/data/webdataset/json_field.h"
#include "worker/trainer/data/webdataset/member_name.h"

namespace lctl::webdataset {
namespace {

using Bytes = std::span<const std::byte>;

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Python's int(): blanks around it and a plus sign are fine.
Batch decode_whole_number(Bytes bytes, const std::string& name) {
  constexpr std::string_view kBlanks = " \t\n\r\v\f";
  std::string_view text = text_of(bytes);
  const std::size_t first = text.find_first_not_of(kBlanks);
  text = first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  const std::string_view whole = text;
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw BadSample(fmt::format("{}: '{}' is no whole number{}", name, shown(whole),
                                error == std::errc::result_out_of_range ? " of 64 bits" : ""));
  }
  return Batch(at::scalar_tensor(value, at::kLong));
}

Batch decode_text(Bytes bytes, const std::string& name) {
  const std::string_view text = text_of(bytes);
  if (!is_utf8(text)) throw BadSample(fmt::format("{}: the text is not UTF-8", name));
  return Batch(std::string(text));
}

Batch decode_bytes(Bytes bytes, const std::string& /*name*/) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes.size())}, at::kByte);
  if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return Batch(std::move(tensor));
}

template <std::size_t N>
bool is_one_of(std::string_view extension, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), extension) != names.end();
}

constexpr std::array<std::string_view, 7> kNumbers = {"cls",   "cls2", "class", "count",
                                                      "index", "inx",  "id"};
constexpr std::array<std::string_view, 3> kTexts = {"txt", "text", "transcript"};
constexpr std::array<std::string_view, 2> kJson = {"json", "jsn"};
constexpr std::array<std::string_view, 4> kPickles = {"pyd", "pickle", "pkl", "pth"};
constexpr std::array<std::string_view, 6> kUnread = {"npz", "ten", "tb", "mp", "msg", "cbor"};
constexpr std::array<std::string_view, 11> kGivenOnly = {"jpg", "jpeg", "png", "npy", "ppm", "pgm",
                                                         "pbm", "pnm",  "bmp", "gif", "webp"};

FieldDecoder inflating(FieldDecoder inner) {
  return [inner = std::move(inner)](Bytes bytes, const std::string& name) {
    std::string inflated;
    try {
      inflated = inflate_gzip(bytes);
    } catch (const BadSample& error) {
      throw BadSample(fmt::format("{}: {}", name, error.what()));
    }
    const Bytes plain = std::as_bytes(std::span<const char>(inflated));
    return inner == nullptr ? decode_bytes(plain, name) : inner(plain, name);
  };
}

[[noreturn]] void refuse(std::string_view extension, std::string_view why) {
  throw MisconfigurationException(fmt::format("columns: .{} {}", extension, why));
}

}  // namespace

FieldDecoder decoder_of(const std::string& extension, const FieldDecoders& given) {
  std::string_view rest = extension;
  while (true) {
    const auto found = given.find(rest);
    if (found != given.end()) return found->second;
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (rest == "gz" && extension.size() > 3)
    return inflating(decoder_of(extension.substr(0, extension.size() - 3), given));
  if (is_one_of(rest, kNumbers)) return decode_whole_number;
  if (is_one_of(rest, kTexts)) return decode_text;
  if (is_one_of(rest, kJson)) return decode_json;
  if (is_one_of(rest, kPickles)) {
    refuse(extension,
           "is a Python pickle, which can run any program when it is read; store it as .npy, "
           ".json or .txt");
  }
  if (is_one_of(rest, kUnread))
    refuse(extension, "is not read here; store it as .npy, .json or .txt");
  if (is_one_of(rest, kGivenOnly)) refuse(extension, "has no decoder here");
  return {};
}

}  // namespace lctl::webdataset
